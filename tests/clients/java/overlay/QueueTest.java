import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** Queues' counts, and what is refused. */
final class QueueTest extends ClientTest {
    @Test
    void countsOfMessagesAndConsumers() throws Exception {
        String queue = declared();
        fill(queue, 5);
        equal(5L, channel.messageCount(queue));
        equal(0L, channel.consumerCount(queue));
        equal(5, channel.queuePurge(queue).getMessageCount());
        consume(channel, queue, true);
        consume(channel, queue, true);
        AMQP.Queue.DeclareOk declared = channel.queueDeclarePassive(queue);
        equal(queue + " 0 2", declared.getQueue() + " " + declared.getMessageCount() + " " + declared.getConsumerCount());
        refused("406 PRECONDITION_FAILED - queue '" + queue + "' in vhost '/' in use (50, 40)",
                () -> channel.queueDelete(queue, true, false));
    }

    @Test
    void whatIsExclusiveIsRefused() throws Exception {
        String queue = declared();
        channel.basicConsume(queue, true, "", false, true, null, new DefaultConsumer(channel));
        Channel other = connection.createChannel();
        refused("403 ACCESS_REFUSED - queue '" + queue + "' in vhost '/' in exclusive use (60, 20)",
                () -> other.basicConsume(queue, new DefaultConsumer(other)));
        Channel stranger = connect(factory()).createChannel();
        refused("405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '" + queue + "' in vhost '/'."
                        + " It could be originally declared on another connection or the exclusive property value"
                        + " does not match that of the original declaration. (50, 10)",
                () -> stranger.queueDeclarePassive(queue));
        check(channel.isOpen(), "the consumer's channel is open");
    }

    @Test
    void whatIsMissingIsNamed() throws Exception {
        refused("404 NOT_FOUND - no queue '" + name + "' in vhost '/' (50, 10)",
                () -> connection.createChannel().queueDeclarePassive(name));
        refused("404 NOT_FOUND - no exchange '" + name + "' in vhost '/' (40, 10)",
                () -> connection.createChannel().exchangeDeclarePassive(name));
        refused("404 NOT_FOUND - no queue '" + name + "' in vhost '/' (60, 20)",
                () -> connection.createChannel().basicConsume(name, new DefaultConsumer(channel)));
        CompletableFuture<ShutdownSignalException> shutdown = new CompletableFuture<>();
        channel.addShutdownListener(shutdown::complete);
        channel.basicPublish(name, "key", null, bytes("lost"));
        equal("404 NOT_FOUND - no exchange '" + name + "' in vhost '/' (60, 40)", describe(await(shutdown)));
        check(!await(shutdown).isHardError(), "only the channel is closed");
        check(connection.isOpen(), "the connection is open");
    }

    @Test
    void textOfARefusalIsCutAtAShortString() throws Exception {
        String queue = name + "-".repeat(60);
        channel.queueDeclare(queue, false, true, false, null);
        Channel stranger = connect(factory()).createChannel();
        String text = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '" + queue + "' in vhost '/'."
                + " It could be originally declared on another connection or the exclusive property value"
                + " does not match that of the original declaration.";
        refused("405 " + text.substring(0, 252) + "... (50, 10)", () -> stranger.queueDeclarePassive(queue));
    }

    @Test
    void declarationThatIsNotEquivalentIsRefused() throws Exception {
        Map<String, Object> longer = Map.of("x-max-length", 5);
        channel.queueDeclare(name, false, false, true, Map.of("x-max-length", 4));
        refused("406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue '" + name
                        + "' in vhost '/': received 'true' but current is 'false' (50, 10)",
                () -> connection.createChannel().queueDeclare(name, true, false, true, longer));
        refused("406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '" + name
                        + "' in vhost '/': received 'false' but current is 'true' (50, 10)",
                () -> connection.createChannel().queueDeclare(name, false, false, false, longer));
        refused("406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '" + name
                        + "' in vhost '/': received '5' but current is '4' (50, 10)",
                () -> connection.createChannel().queueDeclare(name, false, false, true, longer));
        refused("406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '" + name
                        + "' in vhost '/': received none but current is the value '4' of type 'signedint' (50, 10)",
                () -> connection.createChannel().queueDeclare(name, false, false, true, null));
        refused("406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct'"
                        + " in vhost '/': received 'fanout' but current is 'direct' (40, 10)",
                () -> connection.createChannel().exchangeDeclare("amq.direct", "fanout", true));
        check(connection.isOpen(), "the connection is open");
        channel.queueDelete(name);
    }

    @Test
    void exclusiveQueueIsNeverDurable() throws Exception {
        String queue = declared();
        equal(queue, channel.queueDeclare(queue, true, true, false, null).getQueue());
    }
}
