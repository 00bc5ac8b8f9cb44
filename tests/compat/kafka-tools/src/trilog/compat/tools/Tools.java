package trilog.compat.tools;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.AclCommand;
import org.apache.kafka.tools.BrokerApiVersionsCommand;
import org.apache.kafka.tools.ClientMetricsCommand;
import org.apache.kafka.tools.ClusterTool;
import org.apache.kafka.tools.ConsumerPerformance;
import org.apache.kafka.tools.DeleteRecordsCommand;
import org.apache.kafka.tools.EndToEndLatency;
import org.apache.kafka.tools.FeatureCommand;
import org.apache.kafka.tools.GetOffsetShell;
import org.apache.kafka.tools.GroupsCommand;
import org.apache.kafka.tools.LeaderElectionCommand;
import org.apache.kafka.tools.LogDirsCommand;
import org.apache.kafka.tools.MetadataQuorumCommand;
import org.apache.kafka.tools.ProducerPerformance;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.TransactionsCommand;
import org.apache.kafka.tools.VerifiableConsumer;
import org.apache.kafka.tools.VerifiableProducer;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;
import org.apache.kafka.tools.reassign.ReassignPartitionsCommand;

/** Kafka's command line tools, run within this JVM, as one of their own takes longer to start than they take to run. */
final class Tools {
    private Tools() {}

    /** The main method of a tool. */
    private interface Main {
        void main(String... arguments) throws Exception;
    }

    /** What a tool may print that fails because it exits. */
    static final String EXITED = "this tool has exited";

    /** What a tool does instead of ending the JVM. */
    private static final class Exited extends RuntimeException {
        Exited() {
            super(EXITED, null, false, false);
        }
    }

    /** By the names of their scripts, without "kafka-". */
    private static final Map<String, Main> TOOLS = Map.ofEntries(
        Map.entry("acls", AclCommand::main),
        Map.entry("broker-api-versions", BrokerApiVersionsCommand::main),
        Map.entry("client-metrics", ClientMetricsCommand::main),
        Map.entry("cluster", ClusterTool::main),
        Map.entry("configs", kafka.admin.ConfigCommand::main),
        Map.entry("consumer-groups", ConsumerGroupCommand::main),
        Map.entry("consumer-perf-test", ConsumerPerformance::main),
        Map.entry("delete-records", DeleteRecordsCommand::main),
        Map.entry("e2e-latency", EndToEndLatency::main),
        Map.entry("features", FeatureCommand::main),
        Map.entry("get-offsets", GetOffsetShell::main),
        Map.entry("groups", GroupsCommand::main),
        Map.entry("leader-election", LeaderElectionCommand::main),
        Map.entry("log-dirs", LogDirsCommand::main),
        Map.entry("metadata-quorum", MetadataQuorumCommand::main),
        Map.entry("producer-perf-test", ProducerPerformance::main),
        Map.entry("reassign-partitions", ReassignPartitionsCommand::main),
        Map.entry("topics", TopicCommand::main),
        Map.entry("transactions", TransactionsCommand::main),
        Map.entry("verifiable-consumer", VerifiableConsumer::main),
        Map.entry("verifiable-producer", VerifiableProducer::main));

    /** Runs a tool and returns what it prints, errors included. */
    static String run(String name, List<String> arguments) throws Exception {
        Main tool = TOOLS.get(name);
        if (tool == null) {
            throw new IllegalArgumentException("there is no tool " + name);
        }
        List<String> all = new ArrayList<>();
        // Sub-commands of these come behind their options.
        all.addAll(List.of("--bootstrap-server", Nodes.bootstrap()));
        if (name.equals("cluster")) {
            all.clear();
        }
        for (String argument : arguments) {
            all.add(argument.startsWith("@{") ? file(argument.substring(1)) : argument);
        }
        if (name.equals("cluster")) {
            all.addAll(List.of("--bootstrap-server", Nodes.bootstrap()));
        }
        return captured(tool, all.toArray(String[]::new));
    }

    private static String file(String content) throws Exception {
        Path file = Files.createTempFile(Path.of(System.getenv("COMPAT_RUN")), "argument", ".json");
        return Files.writeString(file, content).toString();
    }

    private static String captured(Main tool, String... arguments) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream capture = new PrintStream(printed, true);
        Exit.Procedure exit = (status, message) -> {
            throw new Exited();
        };
        System.setOut(capture);
        System.setErr(capture);
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        try {
            tool.main(arguments);
        } catch (Exited e) {
            // What it said before tells why.
        } finally {
            Exit.resetExitProcedure();
            Exit.resetHaltProcedure();
            System.setOut(out);
            System.setErr(err);
        }
        return printed.toString();
    }
}
