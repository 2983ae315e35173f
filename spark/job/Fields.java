/** The members of records that are read, and what each may hold: the columns of docs/rows.md. */
package clickstream;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

final class Fields {
  /** What a member of a record may hold; docs/rows.md says it of each column. */
  enum Kind {
    TEXT,
    WHOLE,
    TIME,
    PROPERTIES,
    ITEMS,
    REJECTED
  }

  /**
   * A member that is read. A whole number lies from `min` to `max`. What a row holds instead of an
   * absent one is the JSON text `absent`; a needed one is only absent where a row does not fill it.
   */
  record Field(String name, Kind kind, long min, long max, boolean isNeeded, String absent) {}

  private static final String EMPTY = "\"\"";
  private static final String NULL = "null";

  /** Milliseconds since 1970 of the times that the store can hold. */
  static final long TIME_MS_MIN = -2_208_988_800_000L;
  static final long TIME_MS_MAX = 10_413_791_999_999L;

  static final Fields ITEM =
      new Fields(
          List.of(
              text("product_id"),
              quantity(),
              amount("item_price"),
              text("master_category"),
              text("sub_category")));

  static final Fields REJECTED =
      new Fields(
          List.of(
              neededText("project_id"),
              neededText("event_id"),
              neededTime("received_at"),
              neededText("reason"),
              neededText("field"),
              neededText("payload")));

  static final int REJECTED_PROJECT_ID = REJECTED.indexOf("project_id");
  static final int REJECTED_EVENT_ID = REJECTED.indexOf("event_id");
  static final int REJECTED_RECEIVED_AT = REJECTED.indexOf("received_at");
  static final int REASON = REJECTED.indexOf("reason");
  static final int FIELD = REJECTED.indexOf("field");
  static final int PAYLOAD = REJECTED.indexOf("payload");

  /** An event, and behind its columns what says which kind of record it is. */
  static final Fields RECORD =
      new Fields(
          List.of(
              neededText("project_id"),
              neededText("event_id"),
              neededText("session_id"),
              neededText("visitor_id"),
              text("customer_id"),
              new Field("sequence", Kind.WHOLE, 0, 4_294_967_295L, false, "0"),
              neededTime("event_time"),
              new Field("sent_at", Kind.TIME, TIME_MS_MIN, TIME_MS_MAX, false, NULL),
              neededTime("received_at"),
              neededText("event_name"),
              new Field("properties", Kind.PROPERTIES, 0, 0, false, EMPTY),
              text("url"),
              text("host"),
              text("path"),
              text("title"),
              text("referrer"),
              text("referrer_host"),
              text("channel"),
              text("utm_source"),
              text("utm_medium"),
              text("utm_campaign"),
              text("utm_term"),
              text("utm_content"),
              text("device_type"),
              text("os"),
              text("browser"),
              text("language"),
              text("screen"),
              text("country"),
              text("bot"),
              text("traffic_source"),
              text("search_keywords"),
              text("product_id"),
              quantity(),
              amount("item_price"),
              text("master_category"),
              text("sub_category"),
              text("promo_code"),
              amount("promo_amount"),
              text("currency"),
              amount("value"),
              new Field("items", Kind.ITEMS, 0, 0, false, "[]"),
              text("booking_id"),
              text("payment_method"),
              text("payment_status"),
              text("gender"),
              // A date is copied like an amount.
              amount("birthdate"),
              new Field("v", Kind.WHOLE, 1, 1, true, NULL),
              new Field("rejected", Kind.REJECTED, 0, 0, false, NULL)));

  static final int PROJECT_ID = RECORD.indexOf("project_id");
  static final int EVENT_ID = RECORD.indexOf("event_id");
  static final int EVENT_TIME = RECORD.indexOf("event_time");
  static final int RECEIVED_AT = RECORD.indexOf("received_at");
  static final int VERSION = RECORD.indexOf("v");
  static final int WHOLE_REJECTED = RECORD.indexOf("rejected");
  /** The fields before this one have a column. */
  static final int COLUMNS_END = VERSION;

  final List<Field> list;
  private final Map<String, Integer> indexes = new HashMap<>();

  private Fields(List<Field> list) {
    this.list = list;
    for (Field field : list) indexes.put(field.name(), indexes.size());
  }

  /** -1 for a name that says nothing. */
  int indexOf(String name) {
    return indexes.getOrDefault(name, -1);
  }

  private static Field text(String name) {
    return new Field(name, Kind.TEXT, 0, 0, false, EMPTY);
  }

  private static Field neededText(String name) {
    return new Field(name, Kind.TEXT, 0, 0, true, EMPTY);
  }

  private static Field neededTime(String name) {
    return new Field(name, Kind.TIME, TIME_MS_MIN, TIME_MS_MAX, true, EMPTY);
  }

  /** A decimal text: it goes through no floating point. */
  private static Field amount(String name) {
    return new Field(name, Kind.TEXT, 0, 0, false, NULL);
  }

  private static Field quantity() {
    return new Field("quantity", Kind.WHOLE, -2_147_483_648, 2_147_483_647, false, NULL);
  }
}
