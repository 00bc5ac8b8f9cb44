package trilog.compat.connect;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.junit.jupiter.api.Assertions;

/** A program of Kafka's in a JVM of its own, with its log. It ends with the test. */
final class Program implements AutoCloseable {
    private final Process process;
    private final Path log;

    private Program(Process process, Path log) {
        this.process = process;
        this.log = log;
    }

    /** Starts a program by the class of its main method, with what the tests have on their class path. */
    static Program start(Path home, Class<?> main, Path... arguments) throws IOException {
        Path log = home.resolve("log");
        List<String> command = new ArrayList<>(List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            main.getName()));
        for (Path argument : arguments) {
            command.add(argument.toString());
        }
        Process process =
            new ProcessBuilder(command).directory(home.toFile()).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        return new Program(process, log);
    }

    /** Writes a file of properties. */
    static Path properties(Path file, Map<String, Object> pairs) throws IOException {
        Properties properties = new Properties();
        pairs.forEach((name, value) -> properties.setProperty(name, value.toString()));
        try (Writer writer = Files.newBufferedWriter(file)) {
            properties.store(writer, null);
        }
        return file;
    }

    /** Sees that the program runs and had no errors to tell: its log shows nothing less serious. What it says as it ends is its own. */
    void assertNoErrors() {
        Assertions.assertTrue(process.isAlive(), () -> "it has ended by itself:\n" + log());
        Assertions.assertFalse(log().contains("ERROR"), this::log);
    }

    private String log() {
        try {
            return Files.readString(log);
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
