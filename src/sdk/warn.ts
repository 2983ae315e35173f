/**
 * What the developer of a page should know, on the console: there is nowhere else to look, and
 * the page itself must not notice.
 */
export function warn(message: string, detail?: unknown): void {
  // biome-ignore lint/suspicious/noConsole: the console is where a page's developer looks.
  console.warn(`clickstream: ${message}`, detail ?? '');
}
