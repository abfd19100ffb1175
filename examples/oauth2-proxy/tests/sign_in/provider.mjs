// An OpenID provider at https://id.example.net with the users alice and bob, and a tunnel to it for
// programs that cannot map names. Writes one line of JSON with its ports when it listens.
//
// Arguments: certificate, key, file with the client's secret.
import { readFileSync } from 'node:fs';
import { createServer as http } from 'node:http';
import { createServer as https } from 'node:https';
import { connect } from 'node:net';
import { Provider } from 'oidc-provider';

const [certificate, key, secret] = process.argv.slice(2);

// stdout is for the ports; nobody reads it afterwards.
console.log = console.error;
console.info = console.error;

const users = {
  alice: { email: 'alice@example.org', email_verified: true, groups: ['alerts-users', 'prom-users'] },
  bob: { email: 'bob@example.org', email_verified: true, groups: ['prom-users'] },
};

const provider = new Provider('https://id.example.net', {
  clients: [{
    client_id: 'tools',
    client_secret: readFileSync(secret, 'utf8'),
    redirect_uris: ['https://login.example.com/oauth2/callback'],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'], profile: ['name'] },
  cookies: { keys: ['of this test alone'] },
  pkce: { required: () => true },
  async findAccount(_, id) {
    return users[id] && { accountId: id, claims: () => ({ sub: id, ...users[id] }) };
  },
});
provider.on('server_error', (_, error) => console.error('server_error', error));

const listen = (server) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});
const port = await listen(https(
  { cert: readFileSync(certificate), key: readFileSync(key) },
  provider.callback(),
));
const tunnel = http();
tunnel.on('connect', (request, client) => {
  if (request.url !== 'id.example.net:443') {
    client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    return;
  }
  const server = connect(port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    server.pipe(client).pipe(server);
  });
  for (const [one, other] of [[client, server], [server, client]]) {
    one.on('error', () => other.destroy());
  }
});
process.stdout.write(`${JSON.stringify({ port, tunnel: await listen(tunnel) })}\n`);
