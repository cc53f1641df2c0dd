import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

/** Pushes with the JDK's own client as it comes: it prefers HTTP/2, and over http:// offers it with Upgrade. */
public class Push {
    public static void main(String[] arguments) throws Exception {
        String uri = arguments[0], tokenUrl = arguments[1], form = arguments[2];
        HttpClient client = HttpClient.newHttpClient();
        HttpResponse<String> granted = client.send(
            HttpRequest.newBuilder(URI.create(tokenUrl))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form)).build(),
            BodyHandlers.ofString());
        System.out.println(granted.statusCode() + " " + client.version());
        String token = granted.body().replaceAll(".*\"access_token\" *: *\"([^\"]*)\".*", "$1");
        for (int number = 0; number < 5; number++) {
            HttpResponse<String> answer = client.send(
                HttpRequest.newBuilder(URI.create(uri))
                    .header("Authorization", "Bearer " + token)
                    .header("X-WNS-Type", "wns/raw")
                    .header("Content-Type", "application/octet-stream")
                    .POST(BodyPublishers.ofString("from Java " + number)).build(),
                BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.headers().firstValue("X-WNS-Status").orElse("none"));
        }
    }
}
