/** Stands in for the job: reads the topic and prints how many records each batch has. */
package clickstream;

import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.util.ShutdownHookManager;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.Trigger;

public final class Job {
  private static final int BEFORE_SPARK = 100;
  private static final int STOP_SECONDS_MAX = 25;

  public static void main(String[] args) throws Exception {
    String[] log = System.getenv("CLICKSTREAM_LOG").replaceFirst("^kafka://", "").split("[/?]");
    String triggerMs = System.getenv().getOrDefault("CLICKSTREAM_SPARK_TRIGGER_MS", "0");
    String records = System.getenv().getOrDefault("CLICKSTREAM_SPARK_RECORDS", "1000");
    SparkSession spark = SparkSession.builder().appName("clickstream").getOrCreate();
    CountDownLatch stopping = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    // Not a hook of the JVM: Spark's own ones would run beside it, and end the batch.
    ShutdownHookManager.get().addShutdownHook(() -> {
      stopping.countDown();
      try {
        stopped.await();
      } catch (InterruptedException error) {
        Thread.currentThread().interrupt();
      }
    }, BEFORE_SPARK, STOP_SECONDS_MAX, TimeUnit.SECONDS);
    StreamingQuery query = spark.readStream()
        .format("kafka")
        .option("kafka.bootstrap.servers", log[0])
        .option("subscribe", log[1])
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", records)
        .load()
        .writeStream()
        .option("checkpointLocation", System.getenv("CLICKSTREAM_SPARK_SCRATCH") + "/" + UUID.randomUUID())
        .trigger(Trigger.ProcessingTime(Long.parseLong(triggerMs)))
        .foreachBatch((batch, id) -> {
          System.out.println("batch " + id + " has " + batch.count());
        })
        .start();
    System.out.println("clickstream: ready");
    stopping.await();
    query.stop();
    stopped.countDown();
  }
}
