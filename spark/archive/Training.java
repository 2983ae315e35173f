/** Runs once, so that the classes which Spark loads at a start can be kept in an archive. */
package clickstream.archive;

import java.util.concurrent.CountDownLatch;
import org.apache.spark.api.java.function.ForeachPartitionFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.Trigger;

public final class Training {
  private static final int BATCHES = 2;

  /** What runs in other processes than this one, or needs a Kafka to run. */
  private static final String[] CLASSES = {
    "org.apache.kafka.clients.admin.KafkaAdminClient",
    "org.apache.kafka.clients.consumer.KafkaConsumer",
    "org.apache.spark.executor.CoarseGrainedExecutorBackend",
    "org.apache.spark.sql.kafka010.KafkaSourceProvider",
  };

  /** Twice: the first has an executor in this process, the second a master and a worker. */
  private static final String[] MASTERS = {"local[1]", "local-cluster[1,1,512]"};

  public static void main(String[] args) throws Exception {
    for (String name : CLASSES) Class.forName(name);
    for (String master : MASTERS) {
      SparkSession spark = SparkSession.builder().master(master).getOrCreate();
      CountDownLatch batches = new CountDownLatch(BATCHES);
      ForeachPartitionFunction<Row> readAll = (rows) -> rows.forEachRemaining(Object::toString);
      StreamingQuery query = spark.readStream().format("rate-micro-batch")
          .option("rowsPerBatch", 10)
          .load()
          .writeStream()
          .trigger(Trigger.ProcessingTime(0))
          .foreachBatch((batch, id) -> {
            batch.foreachPartition(readAll);
            batches.countDown();
          })
          .start();
      batches.await();
      query.stop();
      spark.stop();
    }
  }
}
