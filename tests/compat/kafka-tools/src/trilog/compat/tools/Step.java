package trilog.compat.tools;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** A command of a session, and what it is to print. */
final class Step {
    /** The places in a stack trace, and what {@link Tools} does to leave a tool. */
    private static final Pattern TRACE = Pattern.compile("^at .*\\(|^\\.\\.\\. \\d+ (more|common)|Tools\\$Exited|^null$|" + Tools.EXITED);
    private static final Pattern ANY = Pattern.compile("<[a-z ]+>");
    private static final Pattern WORDS = Pattern.compile("@\\{.*\\}|'([^']*)'|\\S+");

    /** The line of the session. */
    final String command;
    /** Whether to run it again until it prints what it is to print. */
    final boolean patient;
    /** Why Trilog prints something else; null where it does not. */
    String reason;
    private final List<String> kafkas = new ArrayList<>();
    private final List<String> trilogs = new ArrayList<>();

    Step(String line) {
        patient = line.startsWith("$~");
        command = line.substring(patient ? 2 : 1).trim();
    }

    /** Takes a line of the session that belongs to this command. */
    void add(String line) {
        if (line.startsWith("? ")) {
            reason = line.substring(2);
        } else {
            (reason == null ? kafkas : trilogs).add(line);
        }
    }

    /** Runs it and returns what it prints. */
    List<String> run() throws Exception {
        List<String> words = new ArrayList<>();
        var matcher = WORDS.matcher(command);
        while (matcher.find()) {
            words.add(matcher.group(1) == null ? matcher.group() : matcher.group(1));
        }
        int end = words.indexOf("|");
        List<String> arguments = words.subList(1, end < 0 ? words.size() : end);
        Pattern wanted = Pattern.compile(end < 0 ? "" : words.get(end + 1));
        String printed = Nodes.anonymous(Tools.run(words.get(0), arguments));
        return printed.lines().map(Step::even).filter(line -> !line.isEmpty() && !TRACE.matcher(line).find())
            .filter(line -> wanted.matcher(line).find()).toList();
    }

    /** What it is to print on this cluster. */
    List<String> expected() {
        return Nodes.areTrilog() && reason != null ? trilogs : kafkas;
    }

    /** Whether this is what it is to print. */
    boolean matches(List<String> printed) {
        List<String> expected = expected();
        if (expected.size() != printed.size()) {
            return false;
        }
        for (int i = 0; i < expected.size(); i++) {
            if (!pattern(expected.get(i)).matcher(printed.get(i)).matches()) {
                return false;
            }
        }
        return true;
    }

    private static Pattern pattern(String line) {
        StringBuilder pattern = new StringBuilder();
        String[] fixed = ANY.split(even(line), -1);
        for (int i = 0; i < fixed.length; i++) {
            pattern.append(i == 0 ? "" : ".+?").append(Pattern.quote(fixed[i]));
        }
        return Pattern.compile(pattern.toString());
    }

    /** A line whose white space is one blank each. */
    private static String even(String line) {
        return line.trim().replaceAll("\\s+", " ");
    }
}
