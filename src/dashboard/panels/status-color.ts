/** A payment status has the same colour in every chart; success and failure differ to every eye. */
const KNOWN: Readonly<Record<string, number>> = { Success: 0, Failed: 2 };
const OTHER = 3;

export function statusColor(status: string): number {
  return KNOWN[status] ?? OTHER;
}
