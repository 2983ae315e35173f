/* ClickHouse over HTTP, as src/store/clickhouse.ts has it: one INSERT is one part, or nothing. */
package clickstream;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

final class Store {
  /** What an answer means for whoever has asked. */
  enum Trouble {
    /** The rows are at fault, and none of them is in. */
    REFUSED,
    /** Another one writes this partition by now, and none of the rows is in. */
    TAKEN_OVER,
    /** Nobody knows what happened: wait, and look. */
    UNKNOWN
  }

  static final class StoreException extends RuntimeException {
    final Trouble trouble;

    StoreException(Trouble trouble, String message, Throwable cause) {
      super(message, cause);
      this.trouble = trouble;
    }
  }

  /** One block, one part: src/store/clickhouse.ts says why each of them. */
  private static final String INSERT_SETTINGS =
      "async_insert = 0, wait_for_async_insert = 1, deduplicate_insert = 'disable',"
          + " max_insert_threads = 1, max_partitions_per_insert_block = %d,"
          + " min_insert_block_size_rows = 10000000, max_insert_block_size = 10000000,"
          + " min_insert_block_size_bytes = 0, input_format_parallel_parsing = 0";

  private static final int VIOLATED_CONSTRAINT = 469;
  private static final int TOO_MANY_PARTS = 252;
  private static final Set<Integer> REFUSALS =
      Set.of(6, 26, 27, 33, 36, 38, 41, 53, 69, 70, 72, 117, 131, 252, 349, 407);

  private static final Duration CONNECT_MAX = Duration.ofSeconds(5);
  private static final Duration INSERT_MAX = Duration.ofSeconds(60);
  private static final Duration SELECT_MAX = Duration.ofSeconds(30);
  private static final long SETTLE_MS_MAX = 60_000;
  private static final long LOOK_AGAIN_MS = 50;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Settings.Server server;
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(CONNECT_MAX).build();

  Store(Settings.Server server) {
    this.server = server;
  }

  /**
   * All rows, or none.
   *
   * @param rows lines of JSONCompactEachRow, of one month
   * @param group whoever takes over what it writes ends what still runs of it
   */
  void insert(String table, List<String> columns, byte[] rows, String group)
      throws InterruptedException {
    insert(table, columns, rows, group, 1);
  }

  /** @param months how many the rows may be of, each a part of its own; 0 for any number */
  void insert(String table, List<String> columns, byte[] rows, String group, int months)
      throws InterruptedException {
    String sql =
        "INSERT INTO %s (%s) SETTINGS %s FORMAT JSONCompactEachRow"
            .formatted(table, String.join(", ", columns), INSERT_SETTINGS.formatted(months));
    String id = startOf(group) + UUID.randomUUID();
    send(INSERT_MAX, rows, Map.of("query", sql, "query_id", id));
  }

  /** Parameters are bound: `{name:Type}` in the statement. One list of values a row. */
  List<JsonNode> select(String sql, Map<String, Object> parameters) throws InterruptedException {
    var more = new java.util.HashMap<String, String>();
    more.put("output_format_json_quote_64bit_integers", "0");
    more.put("max_execution_time", String.valueOf(SELECT_MAX.toSeconds()));
    parameters.forEach((name, value) -> more.put("param_" + name, bound(value)));
    byte[] statement = (sql + " FORMAT JSONCompactEachRow").getBytes(StandardCharsets.UTF_8);
    String answer = send(SELECT_MAX, statement, more);
    List<JsonNode> rows = new ArrayList<>();
    try {
      for (String line : answer.split("\n")) if (!line.isEmpty()) rows.add(JSON.readTree(line));
    } catch (IOException e) {
      throw new StoreException(Trouble.UNKNOWN, "The store's answer was cut off.", e);
    }
    return rows;
  }

  /** Resolves when no insert of these groups that a server has begun can come in any more. */
  void settle(List<String> groups) throws InterruptedException {
    String running =
        String.join(" OR ", groups.stream().map((g) -> "startsWith(query_id, '" + startOf(g) + "')").toList());
    long until = System.nanoTime() + SETTLE_MS_MAX * 1_000_000;
    for (; ; ) {
      send(INSERT_MAX, ("KILL QUERY WHERE " + running + " SYNC").getBytes(StandardCharsets.UTF_8), Map.of());
      // KILL leaves out, and says nothing, what another user runs that this one may not end.
      String left = "SELECT count() FROM system.processes WHERE " + running;
      if (select(left, Map.of()).get(0).get(0).asLong() == 0) return;
      if (System.nanoTime() > until)
        throw new StoreException(
            Trouble.UNKNOWN,
            "The store has not ended the inserts of before in time; may its user KILL QUERY?",
            null);
      Thread.sleep(LOOK_AGAIN_MS);
    }
  }

  /** Runs a statement that changes tables. */
  void command(String sql) throws InterruptedException {
    send(INSERT_MAX, sql.getBytes(StandardCharsets.UTF_8), Map.of());
  }

  /** Another database on the same server may have the same groups. */
  private String startOf(String group) {
    return "clickstream-" + server.database() + "-" + group + "-";
  }

  private String send(Duration max, byte[] body, Map<String, String> parameters)
      throws InterruptedException {
    StringBuilder query = new StringBuilder("/?database=").append(encoded(server.database()));
    parameters.forEach((name, value) -> query.append('&').append(name).append('=').append(encoded(value)));
    String login = server.user() + ":" + server.password();
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(server.uri() + query.toString()))
            .timeout(max)
            .header("authorization", "Basic " + Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8)))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body))
            .build();
    HttpResponse<String> response;
    var answer = http.sendAsync(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
    try {
      // The limit of the request ends with the head of its answer; the body may take as long again.
      response = answer.get(2 * max.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw new StoreException(Trouble.UNKNOWN, "The store has not ended its answer in time.", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ConnectException)
        throw new StoreException(Trouble.UNKNOWN, "The store does not answer.", e);
      if (e.getCause() instanceof IOException cause)
        throw new StoreException(Trouble.UNKNOWN, "The store has not answered: " + cause.getMessage(), e);
      throw new IllegalStateException(e.getCause());
    } finally {
      // Of one that was given up, or interrupted.
      answer.cancel(true);
    }
    if (response.statusCode() != 200) throw troubleOf(response);
    return response.body();
  }

  private static StoreException troubleOf(HttpResponse<String> response) {
    int code = response.headers().firstValue("x-clickhouse-exception-code").map(Integer::valueOf).orElse(0);
    String body = response.body().strip();
    // Whoever stands before a store refuses without a word.
    String said = body.isEmpty() ? "HTTP status " + response.statusCode() : body;
    boolean isCrowded = code == TOO_MANY_PARTS && said.contains("Too many parts");
    Trouble trouble =
        code == VIOLATED_CONSTRAINT
            ? Trouble.TAKEN_OVER
            : REFUSALS.contains(code) && !isCrowded ? Trouble.REFUSED : Trouble.UNKNOWN;
    return new StoreException(trouble, "The store says: " + said.substring(0, Math.min(500, said.length())), null);
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  /** A text, a number, or a list of texts, as ClickHouse reads parameters: tabs and such escaped. */
  private static String bound(Object value) {
    if (value instanceof List<?> list)
      return "[" + String.join(",", list.stream().map((text) -> "'" + escaped(text) + "'").toList()) + "]";
    return escaped(value);
  }

  private static String escaped(Object value) {
    return value
        .toString()
        .replace("\\", "\\\\")
        .replace("'", "\\'")
        .replace("\t", "\\t")
        .replace("\n", "\\n")
        .replace("\r", "\\r");
  }
}
