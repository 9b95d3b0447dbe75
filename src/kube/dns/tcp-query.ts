import type { Errno } from "../../core/errno.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SocketOwner } from "../../inet/socket-owner.js";
import { connectTcp } from "../../inet/tcp-socket.js";
import type { Micros } from "../../sim/time.js";
import type { IpAddress } from "../../wire/ip.js";
import { frameMessage, MessageReader } from "./tcp-framing.js";

/** Questions put to one server over one connection. */
export interface TcpQuery {
  readonly ns: NetworkNamespace;
  readonly owner?: SocketOwner | undefined;
  readonly address: IpAddress;
  readonly port: number;
  readonly messages: readonly Uint8Array[];
  /** How long all of it may take. */
  readonly timeout: Micros;
}

/** The replies in the order they came, or why there are fewer than questions. */
export interface TcpReplies {
  readonly replies: readonly Uint8Array[];
  readonly failure: Errno | "timeout" | "closed" | undefined;
}

/** Asks over TCP. `then` is called once. */
export function queryTcp(query: TcpQuery, then: (result: TcpReplies) => void): void {
  const { ns, owner, address, port, messages } = query;
  const connection = connectTcp(ns, { address, port, owner });
  const reader = new MessageReader();
  const replies: Uint8Array[] = [];
  let done = false;
  const finish = (failure: TcpReplies["failure"]): void => {
    if (done) return;
    done = true;
    timer.cancel();
    connection.close();
    then({ replies, failure });
  };
  const timer = ns.sim.queue.after(query.timeout, "dns over tcp", () => finish("timeout"));
  if (connection.error !== undefined) return finish(connection.error);
  connection.onConnected = () => {
    for (const message of messages) connection.send(frameMessage(message));
  };
  connection.onData = (data) => {
    replies.push(...reader.read(data));
    if (replies.length >= messages.length) finish(undefined);
  };
  connection.onClose = () => finish("closed");
  connection.onError = (errno) => finish(errno);
}
