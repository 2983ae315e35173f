/** Superset's REST, as its admin. */
import type { Superset } from '../../superset/superset.ts';

export interface Api {
  get<T>(path: string): Promise<T>;
  /** Also of an answer that is an error. */
  post(path: string, body: object | FormData): Promise<{ status: number; text: string }>;
}

/** Logs in. */
export async function openApi({ url, user, password }: Superset): Promise<Api> {
  const headers: Record<string, string> = {
    referer: `${url}/`,
    'content-type': 'application/json',
    // The server lets go of connections that wait, and a form that meets that is not sent again.
    connection: 'close',
  };
  const login = await fetch(`${url}/api/v1/security/login`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ username: user, password, provider: 'db' }),
  });
  const { access_token } = (await login.json()) as { access_token: string };
  headers.authorization = `Bearer ${access_token}`;
  const csrf = await fetch(`${url}/api/v1/security/csrf_token/`, { headers });
  const { result } = (await csrf.json()) as { result: string };
  headers['x-csrftoken'] = result;
  headers.cookie = csrf.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
  const { 'content-type': _, ...ofForms } = headers;
  return {
    async get<T>(path: string) {
      const answer = await fetch(`${url}/api/v1/${path}`, { headers });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as T;
    },
    async post(path, body) {
      const answer = await fetch(`${url}/api/v1/${path}`, {
        method: 'POST',
        headers: body instanceof FormData ? ofForms : headers,
        body: body instanceof FormData ? body : JSON.stringify(body),
      });
      return { status: answer.status, text: await answer.text() };
    },
  };
}
