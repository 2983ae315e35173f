/* What the job is told, by the same variables of the environment as the TypeScript processor. */
package clickstream;

import java.io.IOException;
import java.io.Serializable;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sent to the executors with each task, the store's password included; nothing prints it. */
record Settings(
    Kafka kafka,
    Server store,
    long windowMs,
    long windowBytes,
    int batchRows,
    int batchBytes,
    long keepLogMs,
    int triggerMs,
    int triggerRecords,
    String scratch,
    Times history)
    implements Serializable {

  /** From the first to before the second, in ms since 1970. */
  record Times(long fromMs, long toMs) implements Serializable {}

  record Kafka(String brokers, String topic, String group, Map<String, String> client)
      implements Serializable {}

  record Server(URI uri, String user, String password, String database) implements Serializable {}

  /** The setting and what it takes, in one sentence. */
  static final class BadSetting extends RuntimeException {
    BadSetting(String message) {
      super(message);
    }
  }

  private static final Pattern KAFKA =
      Pattern.compile("kafka://(?:([^@/]+)@)?([^/?@]+)/([\\w.-]{1,249})(?:\\?(.*))?");
  private static final long HOUR_MS = 3_600_000;
  private static final long MB = 1024 * 1024;

  /**
   * A broker that is gone is noticed in seconds: with the client's own limits a batch waits for a
   * dead one for a minute.
   */
  private static final Map<String, String> LIMITS =
      Map.of("request.timeout.ms", "2000", "default.api.timeout.ms", "3000");

  static Settings read(Map<String, String> environment) {
    return new Settings(
        readKafka(needed(environment, "CLICKSTREAM_LOG"), environment),
        readStore(needed(environment, "CLICKSTREAM_STORE")),
        number(environment, "CLICKSTREAM_WINDOW_HOURS", 24, 1, 8_760) * HOUR_MS,
        number(environment, "CLICKSTREAM_WINDOW_MB", 256, 16, 16_384) * MB,
        (int) number(environment, "CLICKSTREAM_BATCH_ROWS", 20_000, 1, 100_000),
        (int) number(environment, "CLICKSTREAM_BATCH_BYTES", 16_777_216, 1_000, 16_777_216),
        number(environment, "CLICKSTREAM_LOG_KEEP_HOURS", 24, 1, 87_600) * HOUR_MS,
        (int) number(environment, "CLICKSTREAM_SPARK_TRIGGER_MS", 0, 0, 3_600_000),
        (int) number(environment, "CLICKSTREAM_SPARK_RECORDS", 1_000, 1, 1_000_000),
        environment.getOrDefault("CLICKSTREAM_SPARK_SCRATCH", "./data/spark/scratch"),
        readTimes(environment.getOrDefault("CLICKSTREAM_SPARK_HISTORY", "")));
  }

  /** Null where nothing is to be processed again. */
  private static Times readTimes(String text) {
    if (text.isEmpty()) return null;
    if (!text.matches("\\d{1,15},\\d{1,15}"))
      throw new BadSetting("CLICKSTREAM_SPARK_HISTORY takes two times in ms, with a comma between them.");
    String[] pair = text.split(",");
    return new Times(Long.parseLong(pair[0]), Long.parseLong(pair[1]));
  }

  private static Kafka readKafka(String address, Map<String, String> environment) {
    Matcher parts = KAFKA.matcher(address);
    // What stands somewhere in an address may be of a password, so it is not repeated.
    if (!parts.matches())
      throw new BadSetting(
          "CLICKSTREAM_LOG is no address of Kafka: it takes kafka://host:port,host:port/topic.");
    Map<String, String> parameters = parameters(parts.group(4));
    Map<String, String> client = new HashMap<>(LIMITS);
    boolean isTls = "yes".equals(parameters.get("tls"));
    String login = environment.getOrDefault("CLICKSTREAM_KAFKA_LOGIN", "");
    String[] pair = parts.group(1) == null ? login.split(":", 2) : pairOf(parts.group(1));
    boolean hasLogin = pair.length == 2;
    client.put("security.protocol", (hasLogin ? "SASL_" : "") + (isTls ? "SSL" : "PLAINTEXT"));
    if (parameters.containsKey("ca")) {
      client.put("ssl.truststore.type", "PEM");
      client.put("ssl.truststore.certificates", file(parameters.get("ca")));
    }
    if (hasLogin) {
      String mechanism = parameters.getOrDefault("sasl", "PLAIN");
      String module = mechanism.startsWith("SCRAM") ? "scram.Scram" : "plain.Plain";
      client.put("sasl.mechanism", mechanism);
      client.put(
          "sasl.jaas.config",
          "org.apache.kafka.common.security.%sLoginModule required username=%s password=%s;"
              .formatted(module, quoted(pair[0]), quoted(pair[1])));
    }
    String group = parameters.getOrDefault("group", "clickstream");
    return new Kafka(parts.group(2), parts.group(3), group, Map.copyOf(client));
  }

  private static Server readStore(String address) {
    URI uri;
    try {
      uri = URI.create(address);
    } catch (IllegalArgumentException e) {
      throw noStore();
    }
    if (uri.getHost() == null || uri.getScheme() == null || !uri.getScheme().startsWith("http"))
      throw noStore();
    String[] pair = uri.getRawUserInfo() == null ? new String[0] : pairOf(uri.getRawUserInfo());
    String path = uri.getPath();
    return new Server(
        URI.create(uri.getScheme() + "://" + uri.getHost() + ":" + portOf(uri)),
        pair.length > 0 && !pair[0].isEmpty() ? pair[0] : "default",
        pair.length > 1 ? pair[1] : "",
        path == null || path.length() < 2 ? "clickstream" : path.substring(1));
  }

  private static BadSetting noStore() {
    return new BadSetting(
        "CLICKSTREAM_STORE is no server of ClickHouse: it takes http://user:password@host:8123/database.");
  }

  private static int portOf(URI uri) {
    return uri.getPort() != -1 ? uri.getPort() : uri.getScheme().equals("https") ? 443 : 80;
  }

  private static String[] pairOf(String userInfo) {
    String[] pair = userInfo.split(":", 2);
    for (int i = 0; i < pair.length; i++) pair[i] = decoded(pair[i]);
    return pair;
  }

  /** Percent signs alone are decoded: a plus is a plus. */
  private static String decoded(String text) {
    return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
  }

  private static Map<String, String> parameters(String query) {
    Map<String, String> parameters = new HashMap<>();
    if (query == null || query.isEmpty()) return parameters;
    for (String parameter : query.split("&")) {
      String[] pair = parameter.split("=", 2);
      parameters.put(pair[0], pair.length == 2 ? decoded(pair[1]) : "");
    }
    return parameters;
  }

  private static String file(String path) {
    try {
      return Files.readString(Path.of(path));
    } catch (IOException e) {
      throw new BadSetting(
          "CLICKSTREAM_LOG cannot be used: the file of \"ca\", \"" + path + "\", cannot be read.");
    }
  }

  /** As the configuration of JAAS has texts. */
  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  private static String needed(Map<String, String> environment, String name) {
    String text = environment.getOrDefault(name, "");
    if (text.isEmpty()) throw new BadSetting(name + " is not set.");
    return text;
  }

  private static long number(
      Map<String, String> environment, String name, long standard, long min, long max) {
    String text = environment.getOrDefault(name, "");
    if (text.isEmpty()) return standard;
    boolean isNumber = text.matches("\\d{1,9}");
    if (!isNumber || Long.parseLong(text) < min || Long.parseLong(text) > max)
      throw new BadSetting("%s is \"%s\"; it takes a number from %d to %d.".formatted(name, text, min, max));
    return Long.parseLong(text);
  }
}
