/**
 * Puts the country of the visitor's address, by a table of who holds which addresses.
 * Here the address is read for the last time but one (put-visitor); it is stored nowhere.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { type CountryResponse, Reader } from 'mmdb-lib';
import type { Step } from '../step.ts';

const TABLE = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb';

/** @throws Error when the table cannot be read. */
export function putCountry(): Step {
  const table = new Reader<CountryResponse>(
    readFileSync(createRequire(import.meta.url).resolve(TABLE)),
  );
  return ({ fromPage, address }) => {
    const country = fromPage && isIP(address) !== 0 ? countryOf(table, address) : undefined;
    return (event) => {
      if (country !== undefined) event.country ??= country;
      return undefined;
    };
  };
}

/** The library's types describe another table: this one holds the code alone. */
function countryOf(table: Reader<CountryResponse>, address: string): string | undefined {
  const found = table.get(address) as { country_code?: unknown } | null;
  const code = found?.country_code;
  return typeof code === 'string' && code.length === 2 ? code : undefined;
}
