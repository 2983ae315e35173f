/** What a new installation shows until its first event: how to send it. The page then turns live. */
import { useState } from 'react';

/** A server on a loopback address has this key without being told; any other is configured. */
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

export function FirstSteps({ origin, project }: { origin: string; project: string }) {
  const isLoopback = LOOPBACK.includes(new URL(origin).hostname);
  const key = isLoopback && project === 'shop' ? 'shop-dev-key' : 'YOUR_WRITE_KEY';
  const body = '{"event_name": "HOMEPAGE", "session_id": "visit-1"}';
  return (
    <section className="first-run">
      <h2>Waiting for the first event</h2>
      <p>Send one from a page …</p>
      <Code text={`<script defer src="${origin}/sdk.js" data-key="${key}"></script>`} />
      <p>… or from anywhere. This page turns live by itself.</p>
      <Code text={`curl ${origin}/v1/events -H 'Authorization: Bearer ${key}' -d '${body}'`} />
    </section>
  );
}

function Code({ text }: { text: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <div className="code">
      <pre>{text}</pre>
      {/* Browsers give the clipboard to pages of loopback addresses and https only. */}
      {window.isSecureContext && (
        <button type="button" onClick={copy}>
          {isCopied ? 'Copied' : 'Copy'}
        </button>
      )}
    </div>
  );
}
