import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import javax.net.SocketFactory;

/** Keeps what goes over its socket; for one connection. */
final class Recorder extends SocketFactory {
    static final int HEADER = 2;
    static final int BODY = 3;
    static final int HEARTBEAT = 8;

    private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
    private final ByteArrayOutputStream received = new ByteArrayOutputStream();

    @Override
    public Socket createSocket() {
        return new Socket() {
            @Override
            public InputStream getInputStream() throws IOException {
                return new FilterInputStream(super.getInputStream()) {
                    @Override
                    public int read() throws IOException {
                        int octet = super.read();
                        if (octet >= 0) {
                            received.write(octet);
                        }
                        return octet;
                    }

                    @Override
                    public int read(byte[] buffer, int offset, int length) throws IOException {
                        int count = super.read(buffer, offset, length);
                        if (count > 0) {
                            received.write(buffer, offset, count);
                        }
                        return count;
                    }
                };
            }

            @Override
            public OutputStream getOutputStream() throws IOException {
                OutputStream socket = super.getOutputStream();
                return new FilterOutputStream(socket) {
                    @Override
                    public void write(byte[] buffer, int offset, int length) throws IOException {
                        sent.write(buffer, offset, length);
                        socket.write(buffer, offset, length);
                    }
                };
            }
        };
    }

    @Override
    public Socket createSocket(String host, int port) {
        throw new UnsupportedOperationException("the client connects by itself");
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress local, int localPort) {
        return createSocket(host, port);
    }

    @Override
    public Socket createSocket(InetAddress host, int port) {
        return createSocket(host.getHostName(), port);
    }

    @Override
    public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) {
        return createSocket(host, port);
    }

    /** The payloads, in hexadecimal, of all whole frames of a type that the client has sent. */
    List<String> sent(int type) {
        return frames(sent, type);
    }

    /** The payloads, in hexadecimal, of all whole frames of a type that the broker has sent. */
    List<String> received(int type) {
        return frames(received, type);
    }

    private static List<String> frames(ByteArrayOutputStream stream, int type) {
        ByteBuffer bytes = ByteBuffer.wrap(stream.toByteArray());
        if (bytes.get(0) == 'A') {
            bytes.position(8); // the client's protocol header
        }
        List<String> found = new ArrayList<>();
        while (bytes.remaining() >= 7) {
            int each = bytes.get();
            bytes.getShort(); // the channel
            int size = bytes.getInt();
            if (bytes.remaining() <= size) {
                break;
            }
            byte[] payload = new byte[size];
            bytes.get(payload);
            if (bytes.get() != (byte) 0xCE) {
                throw new AssertionError("a frame of type " + each + " does not end with CE");
            }
            if (each == type) {
                found.add(HexFormat.of().formatHex(payload));
            }
        }
        return found;
    }
}
