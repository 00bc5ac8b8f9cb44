package trilog.compat;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A consumer in a group, which polls in a thread of its own and commits only when told to. Closing it, it leaves. */
final class Member implements AutoCloseable {
    private static final Duration POLL = Duration.ofMillis(50);

    /** As there is a listener to be called, and in poll() only, a member that does not poll gives up no partition. */
    private static final ConsumerRebalanceListener IN_POLL_ONLY = new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
    };

    private final KafkaConsumer<String, String> consumer;
    private final Queue<Runnable> errands = new ConcurrentLinkedQueue<>();
    private final CompletableFuture<Void> end = new CompletableFuture<>();
    private final Map<Integer, AtomicInteger> received = new ConcurrentHashMap<>();
    private volatile boolean leaving;

    /** Joins a group. The name is the client id, by which the tools tell members apart. */
    Member(String name, String protocol, String group, String topic) {
        Map<String, Object> config = Cluster.config(
            "client.id", name,
            "group.id", group,
            "group.protocol", protocol,
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false,
            // New partitions are to be noticed soon.
            "metadata.max.age.ms", 500);
        if (protocol.equals("classic")) {
            // In the consumer protocol it is the coordinator that sets the pace.
            config.put("heartbeat.interval.ms", 250);
        }
        consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic), IN_POLL_ONLY);
        new Thread(this::run, name).start();
    }

    private void run() {
        try (consumer) {
            while (!leaving) {
                for (Runnable errand = errands.poll(); errand != null; errand = errands.poll()) {
                    errand.run();
                }
                for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                    received.computeIfAbsent(record.partition(), partition -> new AtomicInteger()).incrementAndGet();
                }
            }
        } catch (Throwable failure) {
            end.completeExceptionally(failure);
        }
        end.complete(null);
    }

    /** How many records it has been given of a partition. */
    int received(int partition) {
        AtomicInteger count = received.get(partition);
        return count == null ? 0 : count.get();
    }

    /** How many records it has been given. */
    int received() {
        return received.values().stream().mapToInt(AtomicInteger::get).sum();
    }

    /** Commits all it has been given, and waits until that is done. */
    void commit() throws Exception {
        CompletableFuture<Void> done = new CompletableFuture<>();
        errands.add(() -> {
            consumer.commitSync();
            done.complete(null);
        });
        CompletableFuture.anyOf(done, end).get(Waiting.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }

    /** Stops polling, as one does who is busy with a record, until the returned value is closed. It stays a member. */
    Busy keepBusy() throws Exception {
        CompletableFuture<Void> begun = new CompletableFuture<>();
        CompletableFuture<Void> over = new CompletableFuture<>();
        errands.add(() -> {
            begun.complete(null);
            over.join();
        });
        CompletableFuture.anyOf(begun, end).get(Waiting.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        return () -> over.complete(null);
    }

    /** The time in which a member does not poll. */
    interface Busy extends AutoCloseable {
        @Override
        void close();
    }

    /** Leaves the group. */
    @Override
    public void close() throws Exception {
        leaving = true;
        end.get(Waiting.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }
}
