/**
 * A listener of a broker that wants TLS and a login, for tests of the client's side: a certificate
 * that signs itself, made with the JDK's own tool, and what server.properties says of both.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { findTool, jvmEnvironment } from '../java/java.ts';

const run = promisify(execFile);

export interface Login {
  user: string;
  password: string;
}

export interface Certificate {
  /** PKCS12 with the private key, under `KEYSTORE_PASSWORD`. */
  readonly keystore: string;
  /** PEM of the certificate alone, which is its own authority. */
  readonly pem: string;
}

/** No secret: the tool wants one, and the file is for tests. */
export const KEYSTORE_PASSWORD = 'only-for-tests';

/** @throws ProgramError when the Java here has none. */
export function findKeytool(): Promise<string> {
  return findTool('keytool', 'Certificates are made with keytool, and this Java has none.');
}

/**
 * @param names as keytool takes them: `ip:127.0.0.1,dns:localhost`
 * @param more further parameters of `keytool -genkeypair`
 * @throws ProgramError when the JDK has no keytool.
 */
export async function makeCertificate(
  folder: string,
  names: string,
  more: readonly string[] = [],
): Promise<Certificate> {
  const keytool = await findKeytool();
  const keystore = resolve(folder, 'keystore.p12');
  const pem = resolve(folder, 'certificate.pem');
  const made = { keystore, pem };
  if (existsSync(pem)) return made;
  await mkdir(folder, { recursive: true });
  const env = jvmEnvironment();
  const store = ['-alias', 'broker', '-keystore', keystore, '-storepass', KEYSTORE_PASSWORD];
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-dname', 'CN=broker'];
  const parameters = [...store, ...key, '-storetype', 'PKCS12', '-ext', `SAN=${names}`, ...more];
  await run(keytool, ['-genkeypair', ...parameters], { env });
  await run(keytool, ['-exportcert', '-rfc', ...store, '-file', pem], { env });
  return made;
}

/** Lines of server.properties for the listener SASL_SSL; users of SCRAM are made over the protocol. */
export function secureProperties({ keystore }: Certificate, { user, password }: Login): string {
  const modules = 'org.apache.kafka.common.security';
  const jaas = (mechanism: string, module: string, options = '') =>
    `listener.name.sasl_ssl.${mechanism}.sasl.jaas.config=${modules}.${module} required${options};`;
  // Quoted for Java's parser, and that once more for the file of properties.
  const quoted = JSON.stringify(password).replaceAll('\\', '\\\\');
  return [
    `listener.name.sasl_ssl.ssl.keystore.location=${keystore}`,
    `listener.name.sasl_ssl.ssl.keystore.password=${KEYSTORE_PASSWORD}`,
    'listener.name.sasl_ssl.ssl.keystore.type=PKCS12',
    'listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    jaas('plain', 'plain.PlainLoginModule', ` user_${user}=${quoted}`),
    jaas('scram-sha-256', 'scram.ScramLoginModule'),
    jaas('scram-sha-512', 'scram.ScramLoginModule'),
    '',
  ].join('\n');
}
