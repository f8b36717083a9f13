//! The error codes of the atProtocol (protocol notes, section 8).

macro_rules! codes {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// A code that a client sees, such as `AT0015`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!($code, ": ", $text)] $name,)*
        }

        impl ErrorCode {
            /// The code as it stands on the wire.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The description that an owner's connection gets in front of the message.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Reads a code from a peer's answer.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

codes! {
    ServerException = "AT0001", "Server exception";
    DataStore = "AT0002", "DataStore exception";
    InvalidSyntax = "AT0003", "Invalid syntax";
    Socket = "AT0004", "Socket error";
    BufferLimit = "AT0005", "Buffer limit exceeded";
    OutboundLimit = "AT0006", "Outbound connection limit exceeded";
    ServerNotFound = "AT0007", "Secondary server not found";
    Handshake = "AT0008", "Handshake failure";
    Unauthorized = "AT0009", "UnAuthorized client in request";
    InternalError = "AT0010", "Internal server error";
    InternalException = "AT0011", "Internal server exception";
    InboundLimit = "AT0012", "Inbound connection limit exceeded";
    Blocked = "AT0013", "Connection Exception";
    UnknownClient = "AT0014", "Unknown AtClient exception";
    KeyNotFound = "AT0015", "key not found";
    InvalidKey = "AT0016", "Invalid key";
    UnableToConnect = "AT0021", "Unable to connect to secondary";
    IllegalArguments = "AT0022", "Illegal arguments";
    Timeout = "AT0023", "Timeout waiting for response";
    Paused = "AT0024", "Server is paused";
    ApkamDenied = "AT0025", "Apkam Auth Denied";
    ApkamFailed = "AT0026", "Apkam Auth Failed";
    ApkamRevoked = "AT0027", "Apkam Access Revoked";
    TooManyRequests = "AT0028", "Too Many Requests";
    EnrollmentExpired = "AT0029", "Apkam Enrollment Expired";
    InvalidEnrollment = "AT0030", "Invalid Enrollment Status";
    SelfRevocation = "AT0031", "Cannot revoke self enrollment";
    Unauthenticated = "AT0401", "Client authentication failed";
}
