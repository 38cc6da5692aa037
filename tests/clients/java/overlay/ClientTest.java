import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** What tests have in common. Each has an instance of its own, and so its own name, connection and channel. */
abstract class ClientTest implements AutoCloseable {
    static final int ANSWER_TIMEOUT_S = 15;

    /** How long to wait for what must not come. */
    private static final int QUIET_MS = 300;

    static final String URL = System.getenv("AMQP_URL");

    /** Marks a method as a test. */
    @Retention(RetentionPolicy.RUNTIME)
    @interface Test {}

    /** A test that cannot be run here. */
    static final class Skipped extends RuntimeException {
        Skipped(String reason) {
            super(reason);
        }
    }

    interface Action {
        void run() throws Exception;
    }

    /** Short enough that no text of the broker which contains it is cut at 255 octets. */
    final String name = "java-" + UUID.randomUUID().toString().substring(0, 8);

    private final List<Connection> connections = Collections.synchronizedList(new ArrayList<>());
    Connection connection;
    Channel channel;

    final void open() throws Exception {
        connection = connect(factory());
        channel = connection.createChannel();
    }

    @Override
    public final void close() {
        connections.forEach(Connection::abort);
    }

    final ConnectionFactory factory() {
        ConnectionFactory factory = new ConnectionFactory();
        try {
            factory.setUri(URL);
        } catch (Exception invalid) {
            throw new IllegalArgumentException("AMQP_URL: " + URL, invalid);
        }
        factory.setAutomaticRecoveryEnabled(true);
        factory.setTopologyRecoveryEnabled(true);
        return factory;
    }

    final Connection connect(ConnectionFactory factory) throws Exception {
        Connection opened = factory.newConnection(name);
        connections.add(opened);
        return opened;
    }

    /** An exclusive queue of the test's name, which goes with the test's connection. */
    final String declared() throws IOException {
        return channel.queueDeclare(name, false, true, false, null).getQueue();
    }

    /** Publishes the bodies {@code 0}, {@code 1} and so on, which are in the queue when this returns. */
    final void fill(String queue, int count) throws Exception {
        Channel publisher = connection.createChannel();
        publisher.confirmSelect();
        for (int index = 0; index < count; index++) {
            publisher.basicPublish("", queue, null, bytes(Integer.toString(index)));
        }
        publisher.waitForConfirmsOrDie(ANSWER_TIMEOUT_S * 1000);
        publisher.close();
    }

    static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean autoAck) throws IOException {
        BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, autoAck, (tag, delivery) -> deliveries.add(delivery), tag -> {});
        return deliveries;
    }

    static Delivery next(BlockingQueue<Delivery> deliveries) throws InterruptedException {
        Delivery delivery = deliveries.poll(ANSWER_TIMEOUT_S, TimeUnit.SECONDS);
        check(delivery != null, "a delivery within " + ANSWER_TIMEOUT_S + " s");
        return delivery;
    }

    static void quiet(BlockingQueue<Delivery> deliveries) throws InterruptedException {
        Delivery delivery = deliveries.poll(QUIET_MS, TimeUnit.MILLISECONDS);
        check(delivery == null, "no delivery, but there is " + (delivery == null ? null : text(delivery)));
    }

    static <T> T await(CompletableFuture<T> future) throws Exception {
        return future.get(ANSWER_TIMEOUT_S, TimeUnit.SECONDS);
    }

    static void refused(String expected, Action action) {
        try {
            action.run();
        } catch (Exception refusal) {
            if (refusal.getCause() instanceof ShutdownSignalException) {
                equal(expected, describe((ShutdownSignalException) refusal.getCause()));
                return;
            }
            throw new AssertionError("not refused as expected (" + expected + "): " + refusal, refusal);
        }
        throw new AssertionError("not refused: " + expected);
    }

    /** Code, text, and the class and method that were refused. */
    static String describe(ShutdownSignalException shutdown) {
        if (shutdown.getReason() instanceof AMQP.Channel.Close close) {
            return describe(close.getReplyCode(), close.getReplyText(), close.getClassId(), close.getMethodId());
        }
        if (shutdown.getReason() instanceof AMQP.Connection.Close close) {
            return describe(close.getReplyCode(), close.getReplyText(), close.getClassId(), close.getMethodId());
        }
        return String.valueOf(shutdown);
    }

    private static String describe(int code, String text, int classId, int methodId) {
        return code + " " + text + " (" + classId + ", " + methodId + ")";
    }

    static void equal(Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError("expected <" + expected + ">, but it is <" + actual + ">");
        }
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("expected: " + what);
        }
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(Delivery delivery) {
        return new String(delivery.getBody(), StandardCharsets.UTF_8);
    }
}
