package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What a tool printed. */
record Output(String text) {
    /** Fails unless this is somewhere in it. */
    void mustSay(String words) {
        assertTrue(text.contains(words), "expected: " + words + "\nin: " + text);
    }

    /** The rows of the table in it, each as column name to cell; none if there is no table. */
    List<Map<String, String>> rows() {
        List<Map<String, String>> rows = new ArrayList<>();
        String[] columns = null;
        for (String line : text.lines().toList()) {
            String[] cells = line.trim().split("\\s+");
            if (columns == null) {
                // Every table begins with one of these.
                columns = cells[0].equals("GROUP") || cells[0].equals("TOPIC") ? cells : null;
            } else if (cells.length >= columns.length) {
                Map<String, String> row = new HashMap<>();
                for (int i = 0; i < columns.length; i++) {
                    row.put(columns[i], cells[i]);
                }
                rows.add(row);
            }
        }
        return rows;
    }
}
