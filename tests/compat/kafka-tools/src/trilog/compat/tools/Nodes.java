package trilog.compat.tools;

/** The cluster under test. */
final class Nodes {
    private Nodes() {}

    /** The nodes, as host:port separated by commas. */
    static String bootstrap() {
        String nodes = System.getenv("COMPAT_BOOTSTRAP");
        if (nodes == null || nodes.isEmpty()) {
            throw new IllegalStateException("COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it");
        }
        return nodes;
    }

    /** Whether it is Trilog, and not Kafka. */
    static boolean areTrilog() {
        return "trilog".equals(System.getenv("COMPAT_CLUSTER"));
    }

    /** A text in which the nodes' addresses are NODE1, NODE2 and NODE3. */
    static String anonymous(String text) {
        String[] addresses = bootstrap().split(",");
        String result = text;
        for (int i = 0; i < addresses.length; i++) {
            String port = addresses[i].substring(addresses[i].lastIndexOf(':') + 1);
            result = result.replaceAll("(127\\.0\\.0\\.1|localhost):" + port, "NODE" + (i + 1));
        }
        return result;
    }
}
