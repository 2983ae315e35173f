/** The files of the dashboards as values, for the checks that need no Superset. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, parse as parsePath } from 'node:path';
import { parse } from 'yaml';
import { BUNDLE } from './superset.ts';

export type Kind = 'databases' | 'datasets' | 'charts' | 'dashboards';

interface Node {
  id: string;
  type: string;
  children?: string[];
  parents?: string[];
  meta?: {
    chartId: number;
    uuid: string;
    sliceName: string;
    width: number;
    sliceNameOverride: string;
  };
}

export interface Dashboard {
  uuid: string;
  slug: string;
  position: Record<string, Node | string>;
  metadata: {
    refresh_frequency: number;
    stagger_refresh: boolean;
    timed_refresh_immune_slices: number[];
    global_chart_configuration: { chartsInScope: number[] };
    native_filter_configuration: {
      filterType: string;
      targets: { column?: { name: string }; datasetUuid?: string }[];
      scope: { excluded: number[] };
      defaultDataMask: {
        extraFormData: {
          time_range?: string;
          filters?: { col: string; op: string; val: string[] }[];
        };
      };
    }[];
  };
}

/** By the names of their files. */
export function readKind<T>(kind: Kind): Map<string, T> {
  const names = readdirSync(join(BUNDLE, kind), { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.yaml')).toSorted();
  return new Map(
    files.map((name) => [
      parsePath(name).name,
      parse(readFileSync(join(BUNDLE, kind, name), 'utf8')),
    ]),
  );
}

export const nodesOf = ({ position }: Dashboard): Node[] =>
  Object.values(position).filter((node) => typeof node !== 'string');
