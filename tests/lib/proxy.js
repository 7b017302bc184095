// A way to PostgreSQL that can lose an answer: once armed, the answer to the next COMMIT does not come
// back, and the connection is gone.
import net from "node:net";
import path from "node:path";

export class Proxy {
  armed = false;
  dropped = 0;

  // url: a DATABASE_URL with the socket's folder and port in its query.
  async start(url) {
    const target = new URL(url.replace("@/", "@localhost/"));
    const socket = path.join(target.searchParams.get("host"), `.s.PGSQL.${target.searchParams.get("port")}`);
    this.listener = net.createServer((client) => this.carry(client, net.connect(socket)));
    await new Promise((resolve) => this.listener.listen(0, "127.0.0.1", resolve));
    return `postgresql://${target.username}@127.0.0.1:${this.listener.address().port}${target.pathname}`;
  }

  carry(client, server) {
    let lose = false;
    const end = () => (client.destroy(), server.destroy());
    client.on("data", (bytes) => {
      if (this.armed && bytes.includes("COMMIT\0")) {
        this.armed = false;
        lose = true;
      }
      server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (!lose) return client.write(bytes);
      this.dropped++;
      end();
    });
    for (const side of [client, server]) {
      side.on("error", end);
      side.on("close", end);
    }
  }

  stop() {
    this.listener?.close();
  }
}
