/**
 * `clickstream erase`: takes the events of one visitor, customer, session or event id out of the
 * store, and prints a receipt.
 */
import type { Config } from '../config.ts';
import type { Receipt } from '../process/upkeep/removals.ts';
import { readEraseRequest } from '../process/upkeep/requests.ts';
import { type Command, readArguments, write } from './command.ts';
import { doWork } from './upkeep-of.ts';

const HELP = `clickstream erase: takes events out of the store, and prints a receipt.

  --project P        of this project, and one of
  --visitor V        the events of a visitor
  --customer C       of a customer
  --session S        of a session
  --event-id E       all that is kept of one event
  --dry-run          changes nothing and says what would be erased

It asks the running process, or opens the data folder itself while none runs. The log keeps its copy
of what came lately for CLICKSTREAM_LOG_KEEP_HOURS.

  npm run clickstream -- erase --project shop --customer 4711 --dry-run
`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const WHO = { project: text, visitor: text, customer: text, session: text } as const;

export const erase: Command = {
  says: 'takes events of a visitor, customer, session or id out',
  help: HELP,
  async run(args, surroundings) {
    const options = { ...WHO, 'event-id': text, 'dry-run': flag } as const;
    const {
      'event-id': event_id,
      'dry-run': dry_run,
      ...who
    } = readArguments({ args, options }).values;
    const given = Object.entries({ ...who, event_id, dry_run });
    const body = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    const { selection, dryRun } = readEraseRequest(body);
    const receipt = await doWork<Receipt>(surroundings, {
      title: 'erasing',
      path: '/api/erase',
      body,
      alone: (upkeep) => upkeep.erase(selection, dryRun),
    });
    await write(surroundings.stdout, receiptText(receipt, surroundings.config));
    return 0;
  },
};

function receiptText(receipt: Receipt, config: Config): string {
  const { removal_id, project, rows, stored, duplicate, rejected, dry_run } = receipt;
  const kinds = `${stored} stored, ${duplicate} duplicate, ${rejected} rejected`;
  const what = `${rows} ${rows === 1 ? 'row' : 'rows'} of ${project} (${kinds})`;
  if (rows === 0) return `Nothing of ${project} is selected; nothing was erased.\n`;
  if (dry_run) return `${what} would be erased. Nothing was changed.\n`;
  return `Erased ${what}.
Removal ${removal_id}
The log still has its copy of what came lately, for up to CLICKSTREAM_LOG_KEEP_HOURS (${config.CLICKSTREAM_LOG_KEEP_HOURS} hours) and until the segment it lies in is full.
`;
}
