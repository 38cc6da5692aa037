import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.LongString;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Properties and headers in a form that can be compared. */
final class Fields {
    private Fields() {}

    /** A field value with maps, lists, strings and arrays of one kind each; numbers stay of their type. */
    static Object plain(Object value) {
        if (value instanceof Map) {
            Map<String, Object> map = new TreeMap<>();
            ((Map<?, ?>) value).forEach((key, each) -> map.put(key.toString(), plain(each)));
            return map;
        }
        if (value instanceof List) {
            List<Object> list = new ArrayList<>();
            ((List<?>) value).forEach(each -> list.add(plain(each)));
            return list;
        }
        if (value instanceof byte[]) {
            return "bytes " + Arrays.toString((byte[]) value);
        }
        return value instanceof LongString ? value.toString() : value;
    }

    /** The types of a table's values, and the values of strings and numbers. */
    static String kinds(Map<?, ?> table) {
        Map<String, String> kinds = new TreeMap<>();
        table.forEach((key, value) -> {
            String kind = value.getClass().getSimpleName();
            if (value instanceof LongString) {
                kind = "String " + value;
            } else if (value instanceof Number) {
                kind += " " + value;
            } else if (value instanceof List) {
                kind = "List";
            }
            kinds.put(key.toString(), kind);
        });
        return kinds.toString();
    }

    /** The other thirteen properties. */
    static String withoutHeaders(BasicProperties properties) {
        return properties.builder().headers(null).build().toString();
    }
}
