package trilog.compat.connect;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.IntStream;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A Streams application that counts words: a topic that brings equal keys together, a changelog, two instances. */
class StreamsTest {
    private static final String[] WORDS = {"one", "two", "three", "five", "eight", "thirteen"};

    @Test
    void countsGoOnInAnotherInstance(@TempDir Path home) throws Exception {
        Cluster.createTopics("words", "counts");
        try (KafkaStreams first = start(home.resolve("first"))) {
            produce(1200);
            Cluster.awaitLastValues("counts", counts(1200));
            try (KafkaStreams second = start(home.resolve("second"))) {
                Cluster.await(KafkaStreams.State.RUNNING, second::state);
                first.close(Duration.ofSeconds(60));
                produce(1200);
                // What the first one counted comes out of the changelog.
                Cluster.awaitLastValues("counts", counts(2400));
            }
        }
    }

    private static KafkaStreams start(Path home) {
        Properties config = Cluster.config(
            "application.id", "word-count",
            "state.dir", home.toString(),
            "replication.factor", "-1",
            "commit.interval.ms", "200",
            "num.stream.threads", "2",
            "default.key.serde", Serdes.StringSerde.class.getName(),
            "default.value.serde", Serdes.StringSerde.class.getName());
        KafkaStreams streams = new KafkaStreams(wordCount(), config);
        streams.start();
        return streams;
    }

    private static Topology wordCount() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("words")
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
            .count(Materialized.as(Stores.inMemoryKeyValueStore("word-counts")))
            .toStream()
            .mapValues(count -> count.toString())
            .to("counts");
        return builder.build();
    }

    private static void produce(int lines) {
        List<String> values = IntStream.range(0, lines).mapToObj(i -> WORDS[i % WORDS.length] + " word").toList();
        Cluster.produce("words", values);
    }

    /** How often each word is in so many lines. */
    private static Map<String, String> counts(int lines) {
        Map<String, String> counts = new HashMap<>();
        for (String word : WORDS) {
            counts.put(word, Integer.toString(lines / WORDS.length));
        }
        counts.put("word", Integer.toString(lines));
        return counts;
    }
}
