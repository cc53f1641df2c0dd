import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Registers a channel with a hub and pushes to its tag, with nothing but the JDK: it signs as the Java SDK does.
 * Arguments: the connection string, the hub, the channel URI, the file of the certificate authority.
 */
public class Hub {
    static String endpoint, keyName, key, hub;
    static HttpClient client;

    public static void main(String[] arguments) throws Exception {
        for (String part : arguments[0].split(";")) {
            String name = part.substring(0, part.indexOf('=')), value = part.substring(part.indexOf('=') + 1);
            if (name.equals("Endpoint")) endpoint = value.replace("sb://", "https://");
            if (name.equals("SharedAccessKeyName")) keyName = value;
            if (name.equals("SharedAccessKey")) key = value;
        }
        hub = arguments[1];
        client = HttpClient.newBuilder().sslContext(trusting(Path.of(arguments[3]))).build();
        String entry = "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">"
            + "<WindowsRegistrationDescription xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">"
            + "<Tags>java</Tags><ChannelUri>" + arguments[2] + "</ChannelUri>"
            + "</WindowsRegistrationDescription></content></entry>";
        HttpResponse<String> made = call("POST", "registrations", entry, "Content-Type", "application/atom+xml;type=entry;charset=utf-8");
        String id = made.body().replaceAll("(?s).*<RegistrationId>([^<]*)</RegistrationId>.*", "$1");
        print("registration made", made);
        HttpResponse<String> toast = call("POST", "messages",
            "<toast><visual><binding template=\"ToastText01\"><text id=\"1\">Grüße</text></binding></visual></toast>",
            "Content-Type", "application/xml", "ServiceBusNotification-Format", "windows",
            "ServiceBusNotification-Tags", "java && !python", "X-WNS-Type", "wns/toast");
        print("toast sent", toast);
        HttpResponse<String> sent = call("POST", "messages", "from Java",
            "Content-Type", "application/octet-stream", "ServiceBusNotification-Format", "windows",
            "ServiceBusNotification-Tags", "java", "X-WNS-Type", "wns/raw");
        print("raw sent", sent);
        print("toast concluded", conclusion(toast));
        print("raw concluded", conclusion(sent));
        print("registration deleted", call("DELETE", "registrations/" + id, null, "If-Match", "*"));
    }

    /** Asks until all targets of a message have their outcomes. */
    static HttpResponse<String> conclusion(HttpResponse<String> sent) throws Exception {
        String[] pieces = URI.create(sent.headers().firstValue("Location").orElse("none")).getPath().split("/");
        HttpResponse<String> state;
        do {
            state = call("GET", "messages/" + pieces[pieces.length - 1], null);
        } while (state.statusCode() == 200 && !state.body().contains("<EndTime>"));
        return state;
    }

    static void print(String step, HttpResponse<String> answer) {
        System.out.printf("{\"step\": \"%s\", \"status\": %d, \"version\": \"%s\"}%n", step, answer.statusCode(), answer.version());
    }

    static HttpResponse<String> call(String method, String path, String body, String... headers) throws Exception {
        URI uri = URI.create(endpoint + hub + "/" + path + "?api-version=2020-06");
        HttpRequest.Builder request = HttpRequest.newBuilder(uri).header("Authorization", signature(uri))
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        if (headers.length > 0) request.headers(headers);
        return client.send(request.build(), BodyHandlers.ofString());
    }

    static String signature(URI uri) throws Exception {
        String audience = URLEncoder.encode(uri.toString().toLowerCase(), StandardCharsets.UTF_8).toLowerCase();
        long expires = Instant.now().getEpochSecond() + 3600;
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        byte[] signed = mac.doFinal((audience + "\n" + expires).getBytes(StandardCharsets.UTF_8));
        String text = URLEncoder.encode(Base64.getEncoder().encodeToString(signed), StandardCharsets.UTF_8);
        return "SharedAccessSignature sr=" + audience + "&sig=" + text + "&se=" + expires + "&skn=" + keyName;
    }

    static SSLContext trusting(Path authority) throws Exception {
        Certificate certificate;
        try (InputStream pem = Files.newInputStream(authority)) {
            certificate = CertificateFactory.getInstance("X.509").generateCertificate(pem);
        }
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        store.setCertificateEntry("tocsin", certificate);
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, factory.getTrustManagers(), null);
        return context;
    }
}
