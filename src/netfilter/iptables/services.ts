import { formatProtocol } from "./protocols.js";

/** Ports by service name: `name port protocols`, the common part of /etc/services. */
const SERVICES = `
tcpmux:1/tcp echo:4/ddp echo:7/tcp+udp discard:9/tcp+udp systat:11/tcp daytime:13/tcp+udp netstat:15/tcp
qotd:17/tcp chargen:19/tcp+udp ftp-data:20/tcp fsp:21/udp ftp:21/tcp ssh:22/tcp telnet:23/tcp smtp:25/tcp
time:37/tcp+udp whois:43/tcp tacacs:49/tcp+udp domain:53/tcp+udp bootps:67/udp bootpc:68/udp tftp:69/udp
gopher:70/tcp finger:79/tcp http:80/tcp www:80/tcp kerberos:88/tcp+udp iso-tsap:102/tcp acr-nema:104/tcp
pop3:110/tcp sunrpc:111/tcp+udp auth:113/tcp nntp:119/tcp ntp:123/udp epmap:135/tcp netbios-ns:137/udp
netbios-dgm:138/udp netbios-ssn:139/tcp imap:143/tcp imap2:143/tcp snmp:161/tcp+udp snmp-trap:162/tcp+udp
bgp:179/tcp ldap:389/tcp+udp https:443/tcp+udp snpp:444/tcp microsoft-ds:445/tcp kpasswd:464/tcp+udp
submissions:465/tcp isakmp:500/udp exec:512/tcp login:513/tcp who:513/udp shell:514/tcp syslog:514/tcp+udp
printer:515/tcp route:520/udp uucp:540/tcp rtsp:554/tcp+udp submission:587/tcp ipp:631/tcp ldaps:636/tcp+udp
domain-s:853/tcp+udp rsync:873/tcp ftps:990/tcp telnets:992/tcp imaps:993/tcp pop3s:995/tcp socks:1080/tcp
openvpn:1194/tcp+udp ms-sql-s:1433/tcp ms-sql-m:1434/udp l2tp:1701/udp radius:1812/tcp+udp
radius-acct:1813/tcp+udp nfs:2049/tcp+udp iscsi-target:3260/tcp mysql:3306/tcp ms-wbt-server:3389/tcp
svn:3690/tcp ipsec-nat-t:4500/udp sip:5060/tcp+udp sip-tls:5061/tcp+udp xmpp-client:5222/tcp
xmpp-server:5269/tcp mdns:5353/udp postgresql:5432/tcp amqps:5671/tcp amqp:5672/tcp+sctp x11:6000/tcp
redis:6379/tcp http-alt:8080/tcp bacula-dir:9101/tcp git:9418/tcp zabbix-agent:10050/tcp
`;

interface Service {
  readonly port: number;
  readonly protocols: readonly string[];
}

const services = new Map<string, Service[]>();
for (const entry of SERVICES.trim().split(/\s+/)) {
  const [, name = "", port, protocols = ""] = /^(.+):(\d+)\/(.+)$/.exec(entry) ?? [];
  services.set(name, [
    ...(services.get(name) ?? []),
    { port: Number(port), protocols: protocols.split("+") },
  ]);
}

/** The port of a service under a protocol; any protocol's when `protocol` is undefined. */
export function servicePort(name: string, protocol: number | undefined): number | undefined {
  const wanted = protocol === undefined || protocol === 0 ? undefined : formatProtocol(protocol);
  const found = services
    .get(name)
    ?.find((service) => wanted === undefined || service.protocols.includes(wanted));
  return found?.port;
}
