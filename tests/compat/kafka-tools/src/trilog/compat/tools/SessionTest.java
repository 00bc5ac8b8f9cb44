package trilog.compat.tools;

import static org.junit.jupiter.api.Assertions.fail;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The sessions of {@code scripts}, held against the cluster. */
class SessionTest {
    private static final long PATIENCE_MS = 20_000;

    static Stream<Path> sessions() throws Exception {
        try (Stream<Path> files = Files.list(Path.of("scripts"))) {
            return files.filter(file -> file.toString().endsWith(".txt")).sorted().toList().stream();
        }
    }

    @ParameterizedTest
    @MethodSource("sessions")
    void session(Path file) throws Exception {
        List<String> wrong = new ArrayList<>();
        for (Step step : steps(file)) {
            long deadline = System.currentTimeMillis() + PATIENCE_MS;
            List<String> printed = step.run();
            while (step.patient && !step.matches(printed) && System.currentTimeMillis() < deadline) {
                Thread.sleep(200);
                printed = step.run();
            }
            if (!step.matches(printed)) {
                wrong.add("$ " + step.command + "\n" + String.join("\n", printed) + "\nbut expected was\n"
                    + String.join("\n", step.expected()));
            }
        }
        if (!wrong.isEmpty()) {
            fail(file + ":\n" + String.join("\n\n", wrong));
        }
    }

    private static List<Step> steps(Path file) throws Exception {
        List<Step> steps = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            if (line.startsWith("$")) {
                steps.add(new Step(line));
            } else if (!line.isBlank() && !line.startsWith("# ")) {
                steps.get(steps.size() - 1).add(line);
            }
        }
        return steps;
    }
}
