import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.BlockedListener;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import com.rabbitmq.client.ShutdownSignalException;
import com.rabbitmq.client.impl.NetworkConnection;
import com.rabbitmq.client.impl.recovery.AutorecoveringConnection;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;

/** Opening, keeping, recovering and multiplexing a connection. */
final class ConnectionTest extends ClientTest {
    @Test
    void connectsAndLearnsWhatTheBrokerCanDo() throws Exception {
        check(connection instanceof Recoverable, "automatic recovery is on");
        check(connection.isOpen(), "the connection is open");
        check(connection.getChannelMax() >= 200, "channel-max: " + connection.getChannelMax());
        equal(131072, connection.getFrameMax());
        Map<?, ?> capabilities = (Map<?, ?>) connection.getServerProperties().get("capabilities");
        for (String capability : List.of(
                "authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify",
                "consumer_priorities", "direct_reply_to", "exchange_exchange_bindings", "per_consumer_qos",
                "publisher_confirms")) {
            equal(capability + " true", capability + " " + capabilities.get(capability));
        }
        connection.close();
        check(!connection.isOpen(), "the connection is closed");
    }

    @Test
    void wrongPasswordIsAnAuthenticationFailure() throws Exception {
        ConnectionFactory factory = factory();
        factory.setPassword("not the password");
        try {
            connect(factory);
        } catch (AuthenticationFailureException failure) {
            equal("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."
                    + " For details see the broker logfile.", failure.getMessage());
            return;
        }
        throw new AssertionError("was let in");
    }

    @Test
    void missingVirtualHostIsNamed() {
        ConnectionFactory factory = factory();
        factory.setVirtualHost(name);
        refused("530 NOT_ALLOWED - vhost " + name + " not found (10, 40)", () -> connect(factory));
    }

    @Test
    void heartbeatsKeepAnIdleConnectionOpen() throws Exception {
        Recorder recorder = new Recorder();
        ConnectionFactory factory = factory();
        factory.setSocketFactory(recorder);
        factory.setRequestedHeartbeat(1);
        Connection idle = connect(factory);
        equal(1, idle.getHeartbeat());
        Thread.sleep(3500);
        check(idle.isOpen(), "the connection is open");
        int heartbeats = recorder.received(Recorder.HEARTBEAT).size();
        check(heartbeats >= 2, heartbeats + " heartbeats came");
    }

    @Test
    void twoHundredChannelsAtOnce() throws Exception {
        List<Channel> channels = new ArrayList<>();
        Set<Integer> numbers = new HashSet<>();
        for (int index = 0; index < 200; index++) {
            channels.add(connection.createChannel());
            numbers.add(channels.get(index).getChannelNumber());
        }
        equal(200, numbers.size());
        List<BlockingQueue<Delivery>> deliveries = new ArrayList<>();
        for (Channel each : channels) {
            String queue = each.queueDeclare().getQueue();
            check(queue.startsWith("amq.gen-"), queue);
            deliveries.add(consume(each, queue, true));
            each.basicPublish("", queue, null, bytes(queue));
        }
        for (BlockingQueue<Delivery> delivery : deliveries) {
            Delivery came = next(delivery);
            equal(came.getEnvelope().getRoutingKey(), text(came));
        }
        int closed = channels.get(100).getChannelNumber();
        channels.get(100).close();
        Channel again = connection.createChannel(closed);
        check(again.queueDeclare().getQueue().startsWith("amq.gen-"), "a channel's number is used again");
    }

    @Test
    void blockedListenerHearsNothingFromABrokerWithoutAlarm() throws Exception {
        List<String> heard = Collections.synchronizedList(new ArrayList<>());
        connection.addBlockedListener(new BlockedListener() {
            @Override
            public void handleBlocked(String reason) {
                heard.add("blocked: " + reason);
            }

            @Override
            public void handleUnblocked() {
                heard.add("unblocked");
            }
        });
        String queue = declared();
        channel.confirmSelect();
        for (int index = 0; index < 1000; index++) {
            channel.basicPublish("", queue, null, new byte[1024]);
        }
        channel.waitForConfirmsOrDie(ANSWER_TIMEOUT_S * 1000);
        equal(List.of(), heard);
    }

    @Test
    void recoversAfterTheManagementApiClosesTheConnection() throws Exception {
        String port = System.getenv("HTTP_PORT");
        if (port == null || port.equals("0")) {
            throw new Skipped("the management API's port is not known");
        }
        ConnectionFactory factory = factory();
        factory.setNetworkRecoveryInterval(200);
        Connection closed = connect(factory);
        CompletableFuture<Recoverable> recovered = new CompletableFuture<>();
        ((Recoverable) closed).addRecoveryListener(new RecoveryListener() {
            @Override
            public void handleRecovery(Recoverable recoverable) {
                recovered.complete(recoverable);
            }

            @Override
            public void handleRecoveryStarted(Recoverable recoverable) {}
        });
        CompletableFuture<ShutdownSignalException> shutdown = new CompletableFuture<>();
        closed.addShutdownListener(shutdown::complete);
        List<String> renamed = Collections.synchronizedList(new ArrayList<>());
        ((AutorecoveringConnection) closed).addQueueRecoveryListener((before, after) -> renamed.add(before + " " + after));

        Channel recovering = closed.createChannel();
        recovering.basicQos(1);
        recovering.exchangeDeclare(name, "topic", false, true, null);
        recovering.exchangeDeclare(name + ".inner", "fanout", false, true, null);
        recovering.exchangeBind(name + ".inner", name, "to.#");
        String queue = recovering.queueDeclare().getQueue();
        recovering.queueBind(queue, name + ".inner", "");
        BlockingQueue<Delivery> deliveries = consume(recovering, queue, false);
        recovering.basicPublish(name, "to.queue", null, bytes("before"));
        Delivery before = next(deliveries);
        equal("before", text(before));
        recovering.basicAck(before.getEnvelope().getDeliveryTag(), false);

        deleteConnection(port, ((NetworkConnection) closed).getLocalPort());
        equal("320 CONNECTION_FORCED - Closed via management plugin (0, 0)", describe(await(shutdown)));
        await(recovered);
        check(closed.isOpen() && recovering.isOpen(), "both are open again");
        equal(1, renamed.size());
        check(renamed.get(0).matches("amq\\.gen-\\S+ amq\\.gen-\\S+"), renamed.get(0));
        recovering.confirmSelect();
        for (String body : List.of("after", "later")) {
            recovering.basicPublish(name, "to.queue", null, bytes(body));
        }
        recovering.waitForConfirmsOrDie(ANSWER_TIMEOUT_S * 1000);
        Delivery after = next(deliveries);
        equal("after", text(after));
        quiet(deliveries);
        recovering.basicAck(after.getEnvelope().getDeliveryTag(), false);
        equal("later", text(next(deliveries)));
    }

    /** Closes a connection by its name, as an operator does; the broker may know of it a little late. */
    private static void deleteConnection(String httpPort, int clientPort) throws Exception {
        URI broker = URI.create(URL);
        String connection = "127.0.0.1:" + clientPort + " -> 127.0.0.1:" + broker.getPort();
        String path = URLEncoder.encode(connection, StandardCharsets.UTF_8).replace("+", "%20");
        String credentials = Base64.getEncoder().encodeToString(bytes(broker.getUserInfo()));
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://" + broker.getHost() + ":" + httpPort + "/api/connections/" + path))
                .header("Authorization", "Basic " + credentials)
                .DELETE()
                .build();
        int status = 0;
        for (int attempt = 0; attempt < 60 && status != 204; attempt++) {
            Thread.sleep(attempt == 0 ? 0 : 250);
            status = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
        }
        equal(204, status);
    }
}
