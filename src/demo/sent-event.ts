/**
 * What a sender of the shop sends, and the same in the 21-field shape of the original system.
 */
import type { Event, SentField } from '../event/event.ts';

export type SentEvent = Partial<Pick<Event, SentField>> & Pick<Event, 'event_name'>;

/** The event as the original system's producer writes it: 21 names, nulls dropped, numbers as text. */
export function toOriginal(event: SentEvent): Record<string, string> {
  const isCart = event.event_name === 'ADD_TO_CART';
  const isBooking = event.event_name === 'BOOKING';
  const prefix = isCart ? 'add_to_cart' : 'purchased';
  const fields: Record<string, unknown> = {
    session_id: event.session_id,
    event_id: event.event_id,
    event_name: event.event_name,
    event_time:
      event.event_time === undefined ? undefined : new Date(event.event_time).toISOString(),
    traffic_source: event.traffic_source,
    search_keywords: event.search_keywords,
    booking_id: event.booking_id,
    customer_id: event.customer_id,
    gender: event.gender,
    birthdate: event.birthdate,
    item_price: event.item_price,
    payment_method: event.payment_method,
    payment_status: event.payment_status,
  };
  if (isCart || isBooking) {
    fields[`${prefix}_product_id`] = event.product_id;
    fields[`${prefix}_quantity`] = event.quantity;
    fields[`${prefix}_masterCategory`] = event.master_category;
    fields[`${prefix}_subCategory`] = event.sub_category;
  }
  const sent = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(sent.map(([name, value]) => [name, String(value)]));
}
