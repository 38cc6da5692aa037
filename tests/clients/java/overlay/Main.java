import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * What applications do with RabbitMQ's Java client, against the broker at {@code AMQP_URL}; {@code HTTP_PORT} is where it has
 * its management API, or 0.
 *
 * <p>Prints {@code test NAME} when a test begins, and {@code passed NAME}, {@code failed NAME: REASON} or {@code skipped NAME:
 * REASON} when it ends. The arguments name the tests to run; without any, all are run.
 */
final class Main {
    private static final int TEST_TIMEOUT_S = 60;

    private static final List<Class<? extends ClientTest>> TESTS = List.of(
            ConnectionTest.class, ContentTest.class, PublishingTest.class, ConsumingTest.class, QueueTest.class);

    public static void main(String[] wanted) {
        List<String> names = Arrays.asList(wanted);
        ExecutorService threads = Executors.newCachedThreadPool();
        for (Class<? extends ClientTest> tests : TESTS) {
            Arrays.stream(tests.getDeclaredMethods())
                    .filter(test -> test.isAnnotationPresent(ClientTest.Test.class))
                    .filter(test -> names.isEmpty() || names.contains(name(test)))
                    .sorted(Comparator.comparing(Method::getName))
                    .forEach(test -> {
                        System.out.println("test " + name(test));
                        System.out.println(outcome(test, threads));
                    });
        }
        // A thread of a test that failed must not keep the program alive.
        System.exit(0);
    }

    private static String name(Method test) {
        return test.getDeclaringClass().getSimpleName() + "." + test.getName();
    }

    private static String outcome(Method test, ExecutorService threads) {
        Future<?> run = threads.submit(() -> run(test));
        try {
            run.get(TEST_TIMEOUT_S, TimeUnit.SECONDS);
            return "passed " + name(test);
        } catch (TimeoutException | InterruptedException hung) {
            run.cancel(true);
            return "failed " + name(test) + ": not done after " + TEST_TIMEOUT_S + " s";
        } catch (ExecutionException wrapped) {
            Throwable cause = wrapped.getCause();
            if (cause instanceof InvocationTargetException) {
                cause = cause.getCause();
            }
            if (cause instanceof ClientTest.Skipped) {
                return "skipped " + name(test) + ": " + cause.getMessage();
            }
            cause.printStackTrace();
            return "failed " + name(test) + ": " + cause.toString().replace('\n', ' ');
        }
    }

    private static Void run(Method test) throws Exception {
        try (ClientTest instance = (ClientTest) test.getDeclaringClass().getDeclaredConstructor().newInstance()) {
            instance.open();
            test.invoke(instance);
        }
        return null;
    }
}
