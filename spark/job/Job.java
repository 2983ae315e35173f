/*
 * The driver: Spark Structured Streaming from the topic to the store, the second processor beside
 * src/process. What it promises and why: docs/decisions/0010-spark.md
 */
package clickstream;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.commons.io.FileUtils;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.StreamingQueryException;
import org.apache.spark.sql.streaming.Trigger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import sun.misc.Signal;

public final class Job {
  private static final Logger LOG = LoggerFactory.getLogger(Job.class);
  private static final long AGAIN_MS = 500;
  private static final long AGAIN_MS_MAX = 10_000;
  /** Queries in a row that failed soon and without one batch: it is not the weather. */
  private static final int FAILURES_MAX = 10;
  private static final long SOON_NS = TimeUnit.SECONDS.toNanos(60);
  private static final long WATCH_MS = 200;
  private static final String SCRATCH = "query-";
  private static final long CHECKPOINT_EVERY_MS = 60_000;
  private static final long TRIM_EVERY_NS = TimeUnit.SECONDS.toNanos(60);

  private final Settings settings;
  private final SparkSession spark;
  private final Store store;
  private final Records records;
  /** Held by a batch: a stop waits for its end. */
  private final ReentrantLock atWork = new ReentrantLock();
  private volatile boolean isStopping;
  /** Since the last batch. */
  private volatile int failures;
  /** Of the query that runs. */
  private volatile Progress progress;

  private Job(Settings settings, SparkSession spark) {
    this.settings = settings;
    this.spark = spark;
    this.store = new Store(settings.store());
    this.records = new Records(store);
  }

  public static void main(String[] args) {
    int code = 1;
    try {
      Settings settings = Settings.read(System.getenv());
      boolean isHistory = settings.history() != null;
      SparkSession spark =
          SparkSession.builder()
              .appName("clickstream")
              // The fresh table has no fence that tells two attempts apart.
              .config("spark.speculation", !isHistory)
              .getOrCreate();
      if (isHistory) {
        try (Topic topic = new Topic(settings.kafka())) {
          new History(settings, spark, topic).run(settings.history());
        }
      } else {
        Job job = new Job(settings, spark);
        Signal.handle(new Signal("TERM"), (signal) -> job.isStopping = true);
        Signal.handle(new Signal("INT"), (signal) -> job.isStopping = true);
        job.run();
      }
      spark.stop();
      code = 0;
    } catch (Settings.BadSetting | Topic.Refused e) {
      System.err.println("clickstream: " + e.getMessage());
    } catch (Throwable e) {
      LOG.error("the job ends", e);
    }
    // Threads of Spark would keep the process alive.
    System.exit(code);
  }

  /** Until it is told to stop. What a query leaves when it fails is found in the store by the next one. */
  private void run() throws InterruptedException, IOException {
    boolean hasSaidReady = false;
    while (!isStopping) {
      Path scratch = newScratch();
      long startedNs = System.nanoTime();
      try (Topic topic = new Topic(settings.kafka())) {
        StreamingQuery query = start(topic, scratch);
        if (!hasSaidReady) System.out.println("clickstream: ready");
        hasSaidReady = true;
        watch(topic, query);
      } catch (Topic.Refused refused) {
        throw refused;
      } catch (StreamingQueryException | TimeoutException | RuntimeException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause())
          if (cause instanceof Topic.Refused refused) throw refused;
        if (System.nanoTime() - startedNs > SOON_NS) failures = 0;
        if (++failures == FAILURES_MAX) throw new IllegalStateException("no batch succeeds", e);
        long waitMs = Math.min(AGAIN_MS << failures, AGAIN_MS_MAX);
        LOG.warn("the query has ended, the next one begins in {} ms", waitMs, e);
        TimeUnit.MILLISECONDS.sleep(waitMs);
      } finally {
        FileUtils.deleteQuietly(scratch.toFile());
      }
    }
  }

  /** A checkpoint for one query alone: the group and the store say where to begin. */
  private Path newScratch() throws IOException {
    Path folder = Path.of(settings.scratch()).toAbsolutePath();
    Files.createDirectories(folder);
    // Those of queries that were killed; nothing else that is there is ours.
    try (var left = Files.newDirectoryStream(folder, SCRATCH + "*")) {
      for (Path each : left) FileUtils.deleteQuietly(each.toFile());
    }
    return Files.createTempDirectory(folder, SCRATCH);
  }

  private StreamingQuery start(Topic topic, Path scratch)
      throws InterruptedException, TimeoutException {
    int logId = records.registerLog(topic.id);
    List<Topic.Begin> begins = topic.begin(records, logId, LOG);
    int[] batchIds = begins.stream().mapToInt(Topic.Begin::batchId).toArray();
    Tasks tasks = new Tasks(settings, logId, batchIds);
    if (progress != null) spark.streams().removeListener(progress);
    progress = new Progress(spark, store, logId, topic.partitions);
    spark.streams().addListener(progress);
    Map<Integer, Long> offsets = new TreeMap<>();
    for (int partition = 0; partition < topic.partitions; partition++)
      offsets.put(partition, begins.get(partition).offset());
    return spark
        .readStream()
        .format("kafka")
        .options(topic.source(offsets))
        .option("maxOffsetsPerTrigger", settings.triggerRecords())
        .load()
        .selectExpr(Topic.COLUMNS)
        .writeStream()
        .option("checkpointLocation", scratch.toString())
        // Nobody reads the checkpoint again, so no batch waits for it to be written.
        .option("asyncProgressTrackingEnabled", true)
        .option("asyncProgressTrackingCheckpointIntervalMs", CHECKPOINT_EVERY_MS)
        // Spark allows that for sinks that know what they have: this one does.
        .option("_asyncProgressTrackingOverrideSinkSupportCheck", true)
        .trigger(Trigger.ProcessingTime(settings.triggerMs()))
        .foreachBatch((Dataset<Row> batch, Long number) -> finish(topic, tasks, batch))
        .start();
  }

  /** One task for each partition that has records; committed when all of them are in the store. */
  private void finish(Topic topic, Tasks tasks, Dataset<Row> batch)
      throws InterruptedException {
    // A stop holds it and waits for the end of this thread, which it interrupts.
    atWork.lockInterruptibly();
    try {
      var done = batch.javaRDD().mapPartitions(tasks).collect();
      topic.commit(done);
      progress.insertMs =
          done.stream().mapToLong(PartitionWriter.Done::insertMs).max().orElse(0);
      failures = 0;
    } finally {
      atWork.unlock();
    }
  }

  /** Returns when it has stopped in order; whatever else ends it is thrown. */
  private void watch(Topic topic, StreamingQuery query)
      throws InterruptedException, StreamingQueryException, TimeoutException {
    long trimNs = System.nanoTime();
    try {
      while (!isStopping && !query.awaitTermination(WATCH_MS)) {
        if (System.nanoTime() - trimNs < TRIM_EVERY_NS) continue;
        trimNs = System.nanoTime();
        topic.refuseOther();
        topic.trim(settings.keepLogMs());
      }
    } finally {
      atWork.lock();
      try {
        query.stop();
      } finally {
        atWork.unlock();
      }
    }
  }

  /** A message without a value is one of no bytes. */
  static LogRecord recordOf(Row row) {
    byte[] bytes = row.isNullAt(3) ? new byte[0] : (byte[]) row.get(3);
    return new LogRecord(row.getLong(1), row.getLong(2), bytes);
  }

  /** What runs in the executors. */
  private record Tasks(Settings settings, int logId, int[] batchIds)
      implements FlatMapFunction<Iterator<Row>, PartitionWriter.Done> {
    @Override
    public Iterator<PartitionWriter.Done> call(Iterator<Row> rows) throws Exception {
      if (!rows.hasNext()) return List.<PartitionWriter.Done>of().iterator();
      Row first = rows.next();
      int partition = first.getInt(0);
      Iterator<LogRecord> records =
          new Iterator<>() {
            private Row row = first;

            @Override
            public boolean hasNext() {
              return row != null;
            }

            @Override
            public LogRecord next() {
              if (row.getInt(0) != partition)
                throw new AssertionError("a task has one partition of the topic");
              LogRecord record = recordOf(row);
              row = rows.hasNext() ? rows.next() : null;
              return record;
            }
          };
      PartitionWriter writer = PartitionWriter.of(settings, logId, partition, batchIds.length);
      return List.of(writer.write(records, batchIds[partition])).iterator();
    }
  }
}
