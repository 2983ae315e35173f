/** What a new installation shows until its first event: how to send it. The page then turns live. */
export function FirstRun({ origin }: { origin: string }) {
  const body = '{"event_name": "HOMEPAGE", "session_id": "visit-1"}';
  return (
    <section className="first-run">
      <h2>Waiting for the first event</h2>
      <p>Send one from a page …</p>
      <pre>{`<script defer src="${origin}/sdk.js" data-key="<your write key>"></script>`}</pre>
      <p>… or from anywhere. This page turns live by itself.</p>
      <pre>{`curl ${origin}/v1/events -H 'Authorization: Bearer <your write key>' -d '${body}'`}</pre>
    </section>
  );
}
