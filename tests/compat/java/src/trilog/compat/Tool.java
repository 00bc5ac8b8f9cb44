package trilog.compat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/** Kafka's command line tools, run within this JVM, as one of their own takes longer to start than they take to run. */
final class Tool {
    private Tool() {}

    /** Runs {@code kafka-consumer-groups} and returns what it prints, errors included. */
    static Output consumerGroups(String... arguments) throws Exception {
        return run(ConsumerGroupCommand::main, arguments);
    }

    /** Runs {@code kafka-topics} and returns what it prints, errors included. */
    static Output topics(String... arguments) throws Exception {
        return run(TopicCommand::main, arguments);
    }

    /** The main method of a tool. */
    private interface Main {
        void main(String... arguments) throws Exception;
    }

    /** What a tool does instead of ending the JVM. */
    private static final class Exited extends RuntimeException {}

    private static Output run(Main tool, String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", Cluster.bootstrap()));
        all.addAll(List.of(arguments));
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
        try {
            tool.main(all.toArray(String[]::new));
        } catch (Exited e) {
            // What it said before tells why.
        } finally {
            Exit.resetExitProcedure();
            System.setOut(out);
            System.setErr(err);
        }
        return new Output(printed.toString());
    }
}
