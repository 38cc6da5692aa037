import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConfirmListener;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.StringRpcServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Confirms, returns, transactions and routes. */
final class PublishingTest extends ClientTest {
    @Test
    void confirmsOfTenThousandMessages() throws Exception {
        int count = 10_000;
        Set<Long> open = new TreeSet<>();
        List<String> wrong = Collections.synchronizedList(new ArrayList<>());
        for (long tag = 1; tag <= count; tag++) {
            open.add(tag);
        }
        channel.addConfirmListener(new ConfirmListener() {
            @Override
            public void handleAck(long tag, boolean multiple) {
                if (!(multiple ? open.removeIf(each -> each <= tag) : open.remove(tag))) {
                    wrong.add("ack " + tag + " of nothing");
                }
            }

            @Override
            public void handleNack(long tag, boolean multiple) {
                wrong.add("nack " + tag);
            }
        });
        String queue = declared();
        channel.confirmSelect();
        for (int index = 0; index < count; index++) {
            equal((long) index + 1, channel.getNextPublishSeqNo());
            channel.basicPublish("", queue, null, bytes("message " + index));
        }
        check(channel.waitForConfirms(30_000), "all are confirmed");
        equal(List.of(), wrong);
        equal(Set.of(), open);
        equal((long) count, channel.messageCount(queue));
    }

    @Test
    void returnComesBeforeTheConfirm() throws Exception {
        Set<Long> returned = Collections.synchronizedSet(new TreeSet<>());
        List<String> wrong = Collections.synchronizedList(new ArrayList<>());
        channel.addReturnListener((code, text, exchange, key, properties, body) -> {
            if (!(code + text + exchange + key).equals("312NO_ROUTE" + "amq.direct" + name)) {
                wrong.add(code + " " + text + " " + exchange + " " + key);
            }
            returned.add(Long.parseLong(properties.getMessageId()));
        });
        channel.addConfirmListener(new ConfirmListener() {
            @Override
            public void handleAck(long tag, boolean multiple) {
                for (long each = tag; each >= (multiple ? 1 : tag); each--) {
                    if (each % 2 == 1 && !returned.contains(each)) {
                        wrong.add(each + " is confirmed and not returned");
                    }
                }
            }

            @Override
            public void handleNack(long tag, boolean multiple) {
                wrong.add("nack " + tag);
            }
        });
        String queue = declared();
        channel.confirmSelect();
        for (long tag = 1; tag <= 100; tag++) {
            BasicProperties properties = new BasicProperties.Builder().messageId(Long.toString(tag)).build();
            boolean lost = tag % 2 == 1;
            channel.basicPublish(lost ? "amq.direct" : "", lost ? name : queue, true, properties, bytes("?"));
        }
        check(channel.waitForConfirms(ANSWER_TIMEOUT_S * 1000), "all are confirmed");
        equal(List.of(), wrong);
        equal(50, returned.size());
        equal(50L, channel.messageCount(queue));
    }

    @Test
    void transactionsCommitAndRollBack() throws Exception {
        String queue = declared();
        Channel other = connection.createChannel();
        channel.txSelect();
        channel.basicPublish("", queue, null, bytes("kept"));
        equal(0L, other.messageCount(queue));
        channel.txCommit();
        equal(1L, other.messageCount(queue));
        channel.basicPublish("", queue, null, bytes("dropped"));
        channel.txRollback();
        channel.txCommit();
        equal(1L, other.messageCount(queue));
        long tag = channel.basicGet(queue, false).getEnvelope().getDeliveryTag();
        channel.basicAck(tag, false);
        channel.txRollback();
        channel.close();
        GetResponse again = other.basicGet(queue, false);
        equal("kept", new String(again.getBody(), StandardCharsets.UTF_8));
        check(again.getEnvelope().isRedeliver(), "redelivered is set");
    }

    @Test
    void exchangeIsBoundToExchange() throws Exception {
        String queue = declared();
        channel.exchangeDeclare(name + ".source", "topic", false, true, null);
        channel.exchangeDeclare(name + ".target", "fanout", false, true, null);
        channel.exchangeBind(name + ".target", name + ".source", "a.*");
        channel.queueBind(queue, name + ".target", "");
        channel.basicPublish(name + ".source", "a.b", null, bytes("routed"));
        channel.basicPublish(name + ".source", "b.a", null, bytes("lost"));
        equal("routed", new String(channel.basicGet(queue, true).getBody(), StandardCharsets.UTF_8));
        equal(null, channel.basicGet(queue, true));
        channel.exchangeUnbind(name + ".target", name + ".source", "a.*");
        // The source was to be deleted with its last binding.
        refused("404 NOT_FOUND - no exchange '" + name + ".source' in vhost '/' (40, 10)",
                () -> channel.exchangeDeclarePassive(name + ".source"));
    }

    @Test
    void alternateExchangeTakesWhatIsNotRouted() throws Exception {
        BlockingQueue<String> returned = new LinkedBlockingQueue<>();
        channel.addReturnListener((code, text, exchange, key, properties, body) -> returned.add(key));
        String queue = declared();
        channel.exchangeDeclare(name + ".alternate", "fanout", false, true, null);
        channel.queueBind(queue, name + ".alternate", "");
        channel.exchangeDeclare(name, "direct", false, false, Map.of("alternate-exchange", name + ".alternate"));
        channel.basicPublish(name, "nowhere", true, null, bytes("unrouted"));
        GetResponse got = channel.basicGet(queue, true);
        equal("unrouted", new String(got.getBody(), StandardCharsets.UTF_8));
        equal(name + " nowhere", got.getEnvelope().getExchange() + " " + got.getEnvelope().getRoutingKey());
        equal(null, returned.poll());
        channel.exchangeDelete(name);
    }

    @Test
    void rpcByDirectReplyTo() throws Exception {
        String queue = declared();
        StringRpcServer server = new StringRpcServer(connection.createChannel(), queue) {
            @Override
            public String handleStringCall(String request, BasicProperties reply) {
                return request.toUpperCase();
            }
        };
        Thread loop = new Thread(() -> {
            try {
                server.mainloop();
            } catch (IOException closed) {
                System.err.println("the RPC server ended: " + closed);
            }
        });
        loop.start();
        RpcClient client = new RpcClient(channel, "", queue, ANSWER_TIMEOUT_S * 1000);
        for (String word : List.of("one", "two", "three")) {
            equal(word.toUpperCase(), client.stringCall(word));
        }
        client.close();
        server.getChannel().close();
        loop.join(ANSWER_TIMEOUT_S * 1000);
        check(!loop.isAlive(), "the server's loop has ended");
    }
}
