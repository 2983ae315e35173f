/*
 * The topic and what the consumer group has committed of it, as src/log/kafka has them: beside an
 * offset stands the id of the topic and the note of the batch, so either processor can go on where
 * the other one has ended.
 */
package clickstream;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Topic implements AutoCloseable {
  /** Nothing that is tried again helps; the message says what does. */
  static final class Refused extends RuntimeException {
    Refused(String message) {
      super(message);
    }
  }

  /** Where a partition's work begins, and the number of its last batch. */
  record Begin(long offset, int batchId) {}

  /** What is committed of a partition: all before `offset`, and the batch that was begun, if any. */
  private record Committed(long offset, long begunTo, int batchId, String note) {}

  /** Of what Spark reads of a record, in the order of `Job.recordOf`. */
  static final String[] COLUMNS = {
    "partition", "offset", "unix_millis(timestamp) AS ms", "value"
  };

  private static final long ANSWER_MS_MAX = 60_000;
  private static final long RETRY_MS = 100;
  private static final Duration READ_MAX = Duration.ofSeconds(10);
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Settings.Kafka kafka;
  private final Admin admin;
  /** As Kafka's other tools and the store write it. */
  final String id;
  final int partitions;

  Topic(Settings.Kafka kafka) throws InterruptedException {
    this.kafka = kafka;
    this.admin = Admin.create(client());
    TopicDescription found;
    try {
      found = describe();
    } catch (UnknownTopicOrPartitionException e) {
      throw new Refused(
          "There is no topic " + kafka.topic() + " on these brokers: a collector makes it when it starts.");
    }
    this.id = idOf(found);
    this.partitions = found.partitions().size();
  }

  /** @throws Refused when the topic of this name is another one by now. */
  void refuseOther() throws InterruptedException {
    TopicDescription now = describe();
    if (!idOf(now).equals(id) || now.partitions().size() != partitions)
      throw new Refused(
          "The topic " + kafka.topic() + " was deleted and made again, or has other partitions: start the job anew.");
  }

  private TopicDescription describe() throws InterruptedException {
    return answered(() -> admin.describeTopics(List.of(kafka.topic())).allTopicNames()).get(kafka.topic());
  }

  private static String idOf(TopicDescription topic) {
    return new UUID(topic.topicId().getMostSignificantBits(), topic.topicId().getLeastSignificantBits())
        .toString();
  }

  /**
   * Where to begin, by partition: after what is committed; where the store has more, after that. The
   * same decision as in src/process/begin.ts. Nothing else is remembered, so it does not matter what
   * became of a checkpoint.
   */
  List<Begin> begin(Records records, int logId, org.slf4j.Logger log) throws InterruptedException {
    Map<Integer, Committed> committed = committed();
    Map<Integer, Long> ends = offsets(OffsetSpec.latest());
    Map<Integer, Long> starts = offsets(OffsetSpec.earliest());
    List<Begin> begins = new ArrayList<>();
    Map<Integer, OffsetAndMetadata> offsets = new HashMap<>();
    for (int partition = 0; partition < partitions; partition++) {
      long start = starts.get(partition);
      Committed known = committed.getOrDefault(partition, new Committed(start, start, 0, ""));
      if (known.offset > ends.get(partition))
        throw new Refused(
            "Partition %d of %s ends at %d, and was processed up to %d: the brokers have lost records that they had acknowledged. What is stored is safe; name another topic to go on."
                .formatted(partition, kafka.topic(), ends.get(partition), known.offset));
      Records.LastPlace last = records.last(logId, partition, Math.max(0, known.offset - 1));
      if (last != null) refuseOtherRecord(partition, last, start, ends.get(partition));
      boolean isBehind = last != null && last.offset() >= Math.max(known.offset, known.begunTo);
      long offset = isBehind ? last.offset() + 1 : known.offset;
      int batchId = Math.max(known.batchId, last == null ? 0 : last.batchId());
      if (offset < start) {
        log.error(
            "partition {}: the topic has deleted {} to {} before they were processed; going on behind them",
            partition, offset, start);
        offset = start;
      }
      begins.add(new Begin(offset, batchId));
      String note = isBehind ? noteOf(offset, offset, batchId) : known.note;
      if (isBehind || committed.containsKey(partition))
        offsets.put(partition, noted(isBehind ? offset : known.offset, note));
    }
    // Also to hear at once when the partitions are others'.
    commit(offsets);
    return begins;
  }

  /** The record at the place that was stored last must be the one that was stored, or be deleted. */
  private void refuseOtherRecord(int partition, Records.LastPlace last, long start, long end)
      throws InterruptedException {
    if (last.offset() < start) return;
    ConsumerRecord<byte[], byte[]> record = last.offset() < end ? read(partition, last.offset()) : null;
    if (record != null) {
      Decoded decoded =
          Mapping.decode(new LogRecord(record.offset(), record.timestamp(), record.value()));
      // A refused event's id says nothing of the record where it could not be processed.
      if (last.eventId().isEmpty() || !decoded.isEvent() || decoded.eventId().equals(last.eventId())) return;
    }
    throw new Refused(
        "Place %d of partition %d is stored, and the log has %s there: the brokers have lost records that they had acknowledged. What is stored is safe; name another topic to go on."
            .formatted(last.offset(), partition, record == null ? "no record" : "another record"));
  }

  /** All before this offset is stored. */
  long committedTo(int partition) throws InterruptedException {
    Committed known = committed().get(partition);
    return known == null ? 0 : known.offset;
  }

  private ConsumerRecord<byte[], byte[]> read(int partition, long offset) {
    Map<String, Object> options = client();
    options.put("max.poll.records", 1);
    var bytes = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<>(options, bytes, bytes)) {
      TopicPartition at = new TopicPartition(kafka.topic(), partition);
      consumer.assign(List.of(at));
      consumer.seek(at, offset);
      var found = consumer.poll(READ_MAX);
      // That says nothing of the record: its broker is gone, and the next one does not lead yet.
      if (found.isEmpty())
        throw new IllegalStateException("partition " + partition + " gave no record in time");
      for (var record : found) if (record.offset() == offset) return record;
      return null;
    }
  }

  private Map<Integer, Committed> committed() throws InterruptedException {
    Map<Integer, Committed> committed = new HashMap<>();
    var found =
        answered(() -> admin.listConsumerGroupOffsets(kafka.group()).partitionsToOffsetAndMetadata());
    found.forEach(
        (at, offset) -> {
          if (offset == null || !at.topic().equals(kafka.topic())) return;
          String[] words = offset.metadata().split(" ", 2);
          // Without our words somebody has set it, with the tools of Kafka.
          boolean isOther = !words[0].isEmpty() && !words[0].equals(id);
          if (isOther) return;
          String note = words.length == 2 ? words[1] : "";
          JsonNode intent = read(note);
          committed.put(
              at.partition(),
              new Committed(
                  offset.offset(), intent.path("to").asLong(), intent.path("batch_id").asInt(), note));
        });
    return committed;
  }

  private static JsonNode read(String note) {
    try {
      return note.isEmpty() ? JSON.createObjectNode() : JSON.readTree(note);
    } catch (IOException e) {
      throw new AssertionError("a note beside our id is our own: " + note, e);
    }
  }

  /** @throws Refused when the group has members: the partitions are theirs. */
  void commit(List<PartitionWriter.Done> all) throws InterruptedException {
    Map<Integer, OffsetAndMetadata> offsets = new HashMap<>();
    for (PartitionWriter.Done done : all) {
      String note = noteOf(done.from(), done.to(), done.batchId());
      offsets.put(done.partition(), noted(done.to(), note));
    }
    commit(offsets);
  }

  private static String noteOf(long from, long to, int batchId) {
    return "{\"from\":%d,\"to\":%d,\"batch_id\":%d}".formatted(from, to, batchId);
  }

  private OffsetAndMetadata noted(long offset, String note) {
    return new OffsetAndMetadata(offset, id + " " + note);
  }

  private void commit(Map<Integer, OffsetAndMetadata> byPartition) throws InterruptedException {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    byPartition.forEach(
        (partition, offset) -> offsets.put(new TopicPartition(kafka.topic(), partition), offset));
    if (offsets.isEmpty()) return;
    try {
      answered(() -> admin.alterConsumerGroupOffsets(kafka.group(), offsets).all());
    } catch (UnknownMemberIdException e) {
      throw new Refused(
          "Other processors are members of the group "
              + kafka.group()
              + ": stop them (CLICKSTREAM_ROLES without process), or this job.");
    }
  }

  /** Deletes what is processed and older than that: the topic is made to keep everything. */
  void trim(long keepMs) throws InterruptedException {
    Map<Integer, Committed> committed = committed();
    Map<Integer, Long> starts = offsets(OffsetSpec.earliest());
    Map<Integer, Long> old = offsets(OffsetSpec.forTimestamp(System.currentTimeMillis() - keepMs));
    Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
    committed.forEach(
        (partition, known) -> {
          // None is that young: all of them are old.
          long young = old.get(partition) < 0 ? known.offset : old.get(partition);
          long first = Math.min(known.offset, young);
          if (first > starts.get(partition))
            all.put(new TopicPartition(kafka.topic(), partition), RecordsToDelete.beforeOffset(first));
        });
    if (!all.isEmpty()) answered(() -> admin.deleteRecords(all).all());
  }

  /** By partition; -1 where there is none of that time. */
  Map<Integer, Long> offsets(OffsetSpec spec) throws InterruptedException {
    Map<TopicPartition, OffsetSpec> all = new HashMap<>();
    for (int partition = 0; partition < partitions; partition++)
      all.put(new TopicPartition(kafka.topic(), partition), spec);
    Map<Integer, Long> offsets = new HashMap<>();
    answered(() -> admin.listOffsets(all).all())
        .forEach((at, found) -> offsets.put(at.partition(), found.offset()));
    return offsets;
  }

  /** How Spark reads it: these partitions, each from its offset on. */
  Map<String, String> source(Map<Integer, Long> offsets) {
    Map<String, String> options = new HashMap<>();
    kafka.client().forEach((name, value) -> options.put("kafka." + name, value));
    options.put("kafka.bootstrap.servers", kafka.brokers());
    options.put("assign", "{\"%s\":%s}".formatted(kafka.topic(), offsets.keySet()));
    options.put("startingOffsets", json(offsets));
    // Records that are gone are said so when the next query looks where to begin.
    options.put("failOnDataLoss", "true");
    return options;
  }

  /** `{"topic":{"0":17,"1":4}}` */
  String json(Map<Integer, Long> offsets) {
    List<String> parts = new ArrayList<>();
    offsets.forEach((partition, offset) -> parts.add("\"" + partition + "\":" + offset));
    return "{\"" + kafka.topic() + "\":{" + String.join(",", parts) + "}}";
  }

  private Map<String, Object> client() {
    Map<String, Object> client = new HashMap<>(kafka.client());
    client.put("bootstrap.servers", kafka.brokers());
    return client;
  }

  private interface Question<T> {
    KafkaFuture<T> ask();
  }

  /** Asks again while a broker is gone and its partitions move. */
  private static <T> T answered(Question<T> question) throws InterruptedException {
    long untilNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ANSWER_MS_MAX);
    for (; ; ) {
      try {
        return question.ask().get();
      } catch (ExecutionException e) {
        boolean isLater = e.getCause() instanceof RetriableException
            && !(e.getCause() instanceof UnknownTopicOrPartitionException);
        if (!isLater || System.nanoTime() > untilNs) {
          if (e.getCause() instanceof RuntimeException cause) throw cause;
          throw new IllegalStateException(e.getCause());
        }
      }
      TimeUnit.MILLISECONDS.sleep(RETRY_MS);
    }
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(1));
  }
}
