import Glibc
import SidecarProtocol

extension SecretBytes {
    /// 32 bytes of the kernel's randomness, which no other memory has held.
    package static func random() -> SecretBytes {
        SecretBytes(count: 32) { out in
            // At most 256 bytes come at once, whole, as soon as the kernel has any (getentropy(3)).
            precondition(getentropy(out.baseAddress!, out.count) == 0, "the kernel gives no random bytes")
        }
    }
}
