package trilog.compat;

import java.time.Duration;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Assertions;

/** How to wait for what tells nobody when it changes. */
final class Waiting {
    /** How long anything may take before it counts as not happening. Far longer than it ever takes. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final Duration ASK_AGAIN_AFTER = Duration.ofMillis(50);

    private Waiting() {}

    /** Asks again and again until the answer is the one expected, and fails with both. */
    static <T> void await(T expected, Callable<T> question) throws Exception {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        T answer = question.call();
        while (!expected.equals(answer)) {
            if (System.nanoTime() > deadline) {
                Assertions.assertEquals(expected, answer, "in vain");
            }
            Thread.sleep(ASK_AGAIN_AFTER.toMillis());
            answer = question.call();
        }
    }
}
