/** Which page is shown: the address says. */
import { useEffect } from 'react';
import { Overview } from './Overview.tsx';
import { PipelinePage } from './pipeline/PipelinePage.tsx';
import { usePath } from './url-state.ts';

export function App() {
  const path = usePath();
  useEffect(() => {
    document.title = path === '/pipeline' ? 'Pipeline · Clickstream' : 'Clickstream';
  }, [path]);
  return path === '/pipeline' ? <PipelinePage /> : <Overview />;
}
