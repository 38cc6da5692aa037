import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.ShutdownSignalException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Deliveries and what becomes of them. */
final class ConsumingTest extends ClientTest {
    @Test
    void nackRejectAndRequeue() throws Exception {
        String queue = declared();
        BlockingQueue<Delivery> deliveries = consume(channel, queue, false);
        List<Long> tags = new ArrayList<>();
        for (String body : List.of("a", "b", "c")) {
            channel.basicPublish("", queue, null, bytes(body));
            Delivery came = next(deliveries);
            equal(body + " false", text(came) + " " + came.getEnvelope().isRedeliver());
            tags.add(came.getEnvelope().getDeliveryTag());
        }
        channel.basicNack(tags.get(1), true, true);
        Delivery a = next(deliveries);
        equal("a true", text(a) + " " + a.getEnvelope().isRedeliver());
        Delivery b = next(deliveries);
        equal("b true", text(b) + " " + b.getEnvelope().isRedeliver());
        channel.basicReject(a.getEnvelope().getDeliveryTag(), true);
        a = next(deliveries);
        equal("a true", text(a) + " " + a.getEnvelope().isRedeliver());
        channel.basicReject(a.getEnvelope().getDeliveryTag(), false);
        channel.basicNack(b.getEnvelope().getDeliveryTag(), false, false);
        channel.basicRecover(true);
        Delivery c = next(deliveries);
        equal("c true", text(c) + " " + c.getEnvelope().isRedeliver());
        channel.basicAck(c.getEnvelope().getDeliveryTag(), false);
        quiet(deliveries);
        equal(0, channel.queueDelete(queue).getMessageCount());
    }

    @Test
    void unknownDeliveryTagClosesTheChannel() throws Exception {
        CompletableFuture<ShutdownSignalException> shutdown = new CompletableFuture<>();
        channel.addShutdownListener(shutdown::complete);
        channel.basicAck(42, false);
        equal("406 PRECONDITION_FAILED - unknown delivery tag 42 (60, 80)", describe(await(shutdown)));
        check(connection.isOpen(), "the connection is open");
    }

    @Test
    void prefetchOfEachConsumer() throws Exception {
        String queue = declared();
        fill(queue, 10);
        channel.basicQos(3);
        BlockingQueue<Delivery> first = consume(channel, queue, false);
        BlockingQueue<Delivery> second = consume(channel, queue, false);
        Delivery came = next(first);
        for (int index = 0; index < 2; index++) {
            next(first);
        }
        for (int index = 0; index < 3; index++) {
            next(second);
        }
        quiet(first);
        quiet(second);
        channel.basicAck(came.getEnvelope().getDeliveryTag(), false);
        equal("6", text(next(first)));
        quiet(first);
        quiet(second);
        equal(3L, channel.messageCount(queue));
    }

    @Test
    void prefetchOfTheWholeChannel() throws Exception {
        String queue = declared();
        fill(queue, 10);
        channel.basicQos(4, true);
        BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        for (int consumer = 0; consumer < 2; consumer++) {
            channel.basicConsume(queue, false, (tag, delivery) -> deliveries.add(delivery), tag -> {});
        }
        long last = 0;
        for (int index = 0; index < 4; index++) {
            last = next(deliveries).getEnvelope().getDeliveryTag();
        }
        quiet(deliveries);
        channel.basicAck(last, true);
        for (int index = 0; index < 4; index++) {
            next(deliveries);
        }
        quiet(deliveries);
        equal(2L, channel.messageCount(queue));
    }

    @Test
    void deletedQueueCancelsItsConsumer() throws Exception {
        CompletableFuture<String> cancelled = new CompletableFuture<>();
        String queue = declared();
        String tag = channel.basicConsume(queue, new DefaultConsumer(channel) {
            @Override
            public void handleCancel(String consumerTag) {
                cancelled.complete(consumerTag);
            }
        });
        check(tag.startsWith("amq.ctag-"), tag);
        connection.createChannel().queueDelete(queue);
        equal(tag, await(cancelled));
        check(channel.isOpen(), "the channel is open");
    }

    @Test
    void cancelledConsumerHearsNoMore() throws Exception {
        CompletableFuture<String> ended = new CompletableFuture<>();
        BlockingQueue<String> deliveries = new LinkedBlockingQueue<>();
        String queue = declared();
        String tag = channel.basicConsume(queue, true, "named", new DefaultConsumer(channel) {
            @Override
            public void handleCancelOk(String consumerTag) {
                ended.complete(consumerTag);
            }

            @Override
            public void handleDelivery(
                    String consumerTag, Envelope envelope, BasicProperties properties, byte[] body) {
                deliveries.add(new String(body, StandardCharsets.UTF_8));
            }
        });
        equal("named", tag);
        channel.basicPublish("", queue, null, bytes("before"));
        equal("before", deliveries.poll(ANSWER_TIMEOUT_S, TimeUnit.SECONDS));
        channel.basicCancel(tag);
        equal("named", await(ended));
        fill(queue, 1);
        equal(1L, channel.messageCount(queue));
        equal(List.of(), List.copyOf(deliveries));
    }

    @Test
    void basicGetCountsWhatIsLeft() throws Exception {
        String queue = declared();
        equal(null, channel.basicGet(queue, false));
        fill(queue, 3);
        GetResponse got = channel.basicGet(queue, false);
        equal("0 2 false", new String(got.getBody(), StandardCharsets.UTF_8) + " " + got.getMessageCount() + " "
                + got.getEnvelope().isRedeliver());
        channel.basicNack(got.getEnvelope().getDeliveryTag(), false, true);
        got = channel.basicGet(queue, true);
        equal("0 2 true", new String(got.getBody(), StandardCharsets.UTF_8) + " " + got.getMessageCount() + " "
                + got.getEnvelope().isRedeliver());
    }

    @Test
    void deadLetterTellsOfItsDeath() throws Exception {
        String target = declared();
        String queue = name + ".dying";
        channel.queueDeclare(queue, false, true, true,
                Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", target, "x-message-ttl", 50));
        BlockingQueue<Delivery> deliveries = consume(channel, target, true);
        channel.basicPublish("", queue, null, bytes("dead"));
        Delivery came = next(deliveries);
        Map<String, Object> headers = came.getProperties().getHeaders();
        headers.keySet().removeIf(key -> key.startsWith("x-last-death-")); // RabbitMQ has them since 3.13
        equal("{x-death=List, x-first-death-exchange=String , x-first-death-queue=String " + queue
                + ", x-first-death-reason=String expired}", Fields.kinds(headers));
        Map<?, ?> death = (Map<?, ?>) ((List<?>) headers.get("x-death")).get(0);
        equal("{count=Long 1, exchange=String , queue=String " + queue
                + ", reason=String expired, routing-keys=List, time=Date}", Fields.kinds(death));
        equal(List.of(queue), Fields.plain(death.get("routing-keys")));
    }
}
