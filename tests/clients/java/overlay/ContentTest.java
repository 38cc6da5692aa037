import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.BlockingQueue;

/** Properties, headers and bodies. */
final class ContentTest extends ClientTest {
    @Test
    void allPropertiesAndHeaderTypesComeBackByteForByte() throws Exception {
        Map<String, Object> inner = new LinkedHashMap<>();
        inner.put("deep", Map.of("deeper", List.of("a", 1, List.of())));
        inner.put("empty", Map.of());
        Map<String, Object> headers = new LinkedHashMap<>();
        headers.put("boolean", true);
        headers.put("byte", (byte) -5);
        headers.put("short", Short.MIN_VALUE);
        headers.put("integer", Integer.MIN_VALUE);
        headers.put("long", Long.MAX_VALUE);
        headers.put("float", 1.5f);
        headers.put("double", -0.1);
        headers.put("decimal", new BigDecimal("-12345.678"));
        headers.put("bytes", new byte[] {0, (byte) 0xCE, 127, -128});
        headers.put("date", new Date(1_500_000_000_000L));
        headers.put("null", null);
        headers.put("string", "Grüße, 世界 \u0000 end");
        headers.put("list", Arrays.asList(1, 2L, null, "three", false, inner, new byte[0]));
        headers.put("map", inner);
        BasicProperties sent = new BasicProperties(
                "text/plain", "gzip", headers, 2, 7, "correlation", "reply-to", "60000", "message", new Date(1_000_000_000_000L),
                "type", "guest", "application", "cluster");
        Recorder recorder = new Recorder();
        ConnectionFactory factory = factory();
        factory.setSocketFactory(recorder);
        Channel recorded = connect(factory).createChannel();
        String queue = recorded.queueDeclare().getQueue();
        BlockingQueue<Delivery> deliveries = consume(recorded, queue, false);
        recorded.basicPublish("", queue, sent, bytes("body"));
        Delivery came = next(deliveries);
        equal("body", text(came));
        BasicProperties properties = came.getProperties();
        equal(Fields.plain(headers), Fields.plain(properties.getHeaders()));
        equal(Fields.withoutHeaders(sent), Fields.withoutHeaders(properties));
        List<String> sentHeaders = recorder.sent(Recorder.HEADER);
        equal(1, sentHeaders.size());
        equal(sentHeaders, recorder.received(Recorder.HEADER));
        recorded.basicAck(came.getEnvelope().getDeliveryTag(), false);
        equal(0L, recorded.messageCount(queue));
    }

    @Test
    void noPropertiesAndNoBody() throws Exception {
        String queue = declared();
        channel.basicPublish("", queue, null, new byte[0]);
        GetResponse got = channel.basicGet(queue, true);
        equal(0, got.getBody().length);
        equal(Fields.withoutHeaders(new BasicProperties()), Fields.withoutHeaders(got.getProps()));
        equal(null, got.getProps().getHeaders());
    }

    @Test
    void largeBodyIsCutByEachConnectionsFrameSize() throws Exception {
        byte[] body = new byte[1 << 20];
        new Random(1).nextBytes(body);
        Recorder recorder = new Recorder();
        ConnectionFactory factory = factory();
        factory.setSocketFactory(recorder);
        factory.setRequestedFrameMax(4096);
        Connection narrow = connect(factory);
        equal(4096, narrow.getFrameMax());
        Channel small = narrow.createChannel();
        channel.queueDeclare(name, false, false, true, null);
        BlockingQueue<Delivery> wide = consume(channel, name, true);
        small.basicPublish("", name, null, body);
        check(Arrays.equals(body, next(wide).getBody()), "the body came whole over large frames");
        String queue = small.queueDeclare().getQueue();
        BlockingQueue<Delivery> narrowly = consume(small, queue, true);
        channel.basicPublish(exchangeTo(small, queue), "", null, body);
        check(Arrays.equals(body, next(narrowly).getBody()), "the body came whole over small frames");
        int content = 4096 - 8;
        equal((body.length + content - 1) / content, recorder.received(Recorder.BODY).size());
    }

    /** An exchange to the queue: a queue that is exclusive to one connection takes what another publishes. */
    private String exchangeTo(Channel owner, String queue) throws IOException {
        String exchange = name + ".fanout";
        owner.exchangeDeclare(exchange, "fanout", false, true, null);
        owner.queueBind(queue, exchange, "");
        return exchange;
    }
}
