/** The first page: what moves now, then the range that is looked at, question by question. */
import { useEffect } from 'react';
import { CartAdditionsByCategory } from './panels/CartAdditionsByCategory.tsx';
import { EventsByName } from './panels/EventsByName.tsx';
import { EventsOverTime } from './panels/EventsOverTime.tsx';
import { LiveNow } from './panels/LiveNow.tsx';
import { OrderingCustomers } from './panels/OrderingCustomers.tsx';
import { OrdersByCategory } from './panels/OrdersByCategory.tsx';
import { OrdersByGenderAndCategory } from './panels/OrdersByGenderAndCategory.tsx';
import { PaymentStatus } from './panels/PaymentStatus.tsx';
import { PaymentStatusByMethod } from './panels/PaymentStatusByMethod.tsx';
import { TopChannels } from './panels/TopChannels.tsx';
import { TopPages } from './panels/TopPages.tsx';
import { TopSearches } from './panels/TopSearches.tsx';
import { TotalOrders } from './panels/TotalOrders.tsx';
import { Totals } from './panels/Totals.tsx';
import { VisitsByHour } from './panels/VisitsByHour.tsx';
import { VisitsByWeekday } from './panels/VisitsByWeekday.tsx';
import { VisitsOverTime } from './panels/VisitsOverTime.tsx';
import { WebVsMobile } from './panels/WebVsMobile.tsx';
import { FirstSteps } from './ui/FirstSteps.tsx';
import { LiveState } from './ui/LiveState.tsx';
import { TopBar } from './ui/TopBar.tsx';
import { FilterChips, RangeButtons } from './ui/ViewControls.tsx';
import { changeView, RANGES, useView } from './url-state.ts';
import { followLive, leaveLive, pauseLive, useLive } from './use-live.ts';
import { useIsEmpty, useQuestion, ZONE } from './use-question.ts';

export function Overview() {
  const view = useView();
  useEffect(() => followLive(view), [view]);
  useEffect(() => leaveLive, []);
  return (
    <>
      <TopBar
        filters={
          <FilterChips filters={view.filters} onFilters={(filters) => changeView({ filters })} />
        }
      >
        <RangeButtons range={view.range} onRange={(range) => changeView({ range })} />
        <LiveBar />
      </TopBar>
      <main>
        <FirstRun />
        <section aria-labelledby="now">
          <h2 id="now">Now</h2>
          <LiveNow />
        </section>
        <section aria-labelledby="range">
          <h2 id="range">
            {view.range === 'all' ? 'All time' : `Last ${RANGES[view.range]}`}
            <small>
              {view.range === 'all' ? '' : 'change against the same time before · '}
              times in {ZONE}
            </small>
          </h2>
          <Totals />
          <div className="grid">
            <EventsOverTime />
            <TopPages />
            <TopSearches />
            <TopChannels />
            <EventsByName />
          </div>
        </section>
        <section aria-labelledby="orders">
          <h2 id="orders">Orders and payments</h2>
          <div className="grid thirds">
            <div className="stack">
              <TotalOrders />
              <OrderingCustomers />
            </div>
            <PaymentStatus />
            <PaymentStatusByMethod />
          </div>
          <div className="grid">
            <OrdersByCategory />
            <OrdersByGenderAndCategory />
            <CartAdditionsByCategory />
            <WebVsMobile />
          </div>
        </section>
        <section aria-labelledby="visits">
          <h2 id="visits">Visits</h2>
          <div className="grid">
            <VisitsOverTime />
            <VisitsByWeekday />
            <VisitsByHour />
          </div>
        </section>
      </main>
    </>
  );
}

function LiveBar() {
  const status = useLive((live) => live.status);
  const behindMs = useLive((live) => live.behindMs);
  const heardAt = useLive((live) => live.heardAt);
  return <LiveState live={{ status, behindMs, heardAt }} onPause={pauseLive} />;
}

/** Instructions, as long as the project has no event at all. */
function FirstRun() {
  const { project, filters } = useView();
  const { data } = useQuestion('totals');
  const isQuiet = useLive((live) => live.now !== undefined && live.minutes.length === 0);
  const isEmpty = useIsEmpty(isQuiet && filters.length === 0 && data?.rows[0]?.events === 0);
  return isEmpty ? <FirstSteps origin={window.location.origin} project={project} /> : null;
}
