/* How the query does, for the Pipeline page and `/metrics`: a row in the store, at most one a second. */
package clickstream;

import clickstream.Store.StoreException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQueryListener;
import org.apache.spark.sql.streaming.StreamingQueryProgress;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

final class Progress extends StreamingQueryListener {
  private static final Logger LOG = LoggerFactory.getLogger(Progress.class);
  private static final long EVERY_NS = TimeUnit.SECONDS.toNanos(1);
  private static final List<String> COLUMNS =
      List.of(
          "at", "log_id", "batch", "rows", "input_rate", "process_rate", "batch_ms", "insert_ms", "lag", "executors");

  private final SparkSession spark;
  private final Store store;
  private final int logId;
  private final int partitions;
  /** Of the last batch: its slowest task. */
  volatile long insertMs;
  private long batch;
  private long lastNs = System.nanoTime() - EVERY_NS;

  Progress(SparkSession spark, Store store, int logId, int partitions) {
    this.spark = spark;
    this.store = store;
    this.logId = logId;
    this.partitions = partitions;
  }

  @Override
  public void onQueryProgress(QueryProgressEvent event) {
    StreamingQueryProgress now = event.progress();
    batch = now.batchId();
    // Behind what the topic had when the batch was planned; by partition, on average.
    Map<String, String> source = now.sources()[0].metrics();
    double behind = Double.parseDouble(source.getOrDefault("avgOffsetsBehindLatest", "0"));
    long batchMs = now.durationMs().getOrDefault("triggerExecution", 0L);
    keep(now.numInputRows(), now.inputRowsPerSecond(), now.processedRowsPerSecond(), batchMs, Math.round(behind * partitions));
  }

  /** Now and then while nothing comes, so that a job that waits is not taken for one that is gone. */
  @Override
  public void onQueryIdle(QueryIdleEvent event) {
    insertMs = 0;
    keep(0, 0, 0, 0, 0);
  }

  @Override
  public void onQueryStarted(QueryStartedEvent event) {}

  @Override
  public void onQueryTerminated(QueryTerminatedEvent event) {}

  private void keep(long rows, double inputRate, double processRate, long batchMs, long lag) {
    if (System.nanoTime() - lastNs < EVERY_NS) return;
    lastNs = System.nanoTime();
    // The driver is in the list as well.
    int executors = spark.sparkContext().statusTracker().getExecutorInfos().length - 1;
    String row =
        String.format(
            Locale.ROOT,
            "[\"%.3f\",%d,%d,%d,%.1f,%.1f,%d,%d,%d,%d]%n",
            System.currentTimeMillis() / 1000.0,
            logId, batch, rows, finite(inputRate), finite(processRate), batchMs, insertMs, lag, executors);
    try {
      store.insert("spark_progress", COLUMNS, row.getBytes(StandardCharsets.UTF_8), "spark_progress");
    } catch (StoreException e) {
      LOG.warn("how the query does is not written down this time: {}", e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Spark divides by no time in a first batch. */
  private static double finite(double rate) {
    return Double.isFinite(rate) ? rate : 0;
  }
}
