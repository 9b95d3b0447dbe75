/** What a system call returns when it fails, by its name in errno.h. */
export type Errno =
  | "EACCES"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "EAGAIN"
  | "ECONNREFUSED"
  | "ECONNRESET"
  | "EHOSTDOWN"
  | "EHOSTUNREACH"
  | "EINVAL"
  | "EMSGSIZE"
  | "ENETDOWN"
  | "ENETUNREACH"
  | "ENOBUFS"
  | "ENODEV"
  | "ENONET"
  | "ENOPROTOOPT"
  | "EOPNOTSUPP"
  | "ENOTCONN"
  | "EPERM"
  | "EPIPE"
  | "EPROTO"
  | "ETIMEDOUT";

/** What a function on the output path hands back to the caller of send(): an error, or undefined for success. */
export type SendResult = Errno | undefined;
