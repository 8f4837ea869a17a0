// One system call that a process may make, and why. Each table of them stands beside the code that needs
// them; docs/CONFINEMENT.md lists them all, and a test keeps it so.
//
// A call that is missing fails with EPERM, and the kernel logs it: `dmesg` says `type=1326 … syscall=N`, and
// `comm` is the thread's name. Its row belongs in the table beside the code that makes it, in one of
// `SystemCalls+….swift` or in a new one that `Confinement` of the process adds up, with no more arguments
// than that code uses. Then run DocumentTests with MESH_WRITE_TABLES=1.

import CLinuxShims
import Glibc

package struct SystemCall: Sendable {
    /// What an argument must be. Only its lower 32 bits are looked at.
    package struct Argument: Sendable {
        let index: Int32
        /// The bits that are compared, and what they must be.
        let mask: UInt32
        let value: UInt32

        package static func `is`(_ index: Int32, _ value: Int32) -> Argument {
            Argument(index: index, mask: .max, value: UInt32(bitPattern: value))
        }
        /// Has all of the bits.
        package static func has(_ index: Int32, _ bits: Int32) -> Argument {
            Argument(index: index, mask: UInt32(bitPattern: bits), value: UInt32(bitPattern: bits))
        }
        /// Has none of the bits.
        package static func lacks(_ index: Int32, _ bits: Int32) -> Argument {
            Argument(index: index, mask: UInt32(bitPattern: bits), value: 0)
        }
        /// A socket's type, whatever its flags.
        package static func type(_ type: __socket_type) -> Argument {
            let flags = SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
            return Argument(index: 1, mask: ~flags, value: type.rawValue)
        }
    }

    package let name: StaticString
    let number: Int32
    let arguments: [Argument]
    /// With which arguments, for people.
    package let extent: StaticString?
    package let reason: StaticString

    /// - Parameters:
    ///   - arguments: at most three; all of them must hold. Several entries of one call add up.
    ///   - extent: the arguments in words.
    package init(
        _ name: StaticString, _ number: Int32, _ arguments: Argument..., only extent: StaticString? = nil,
        because reason: StaticString
    ) {
        self.name = name
        self.number = number
        self.arguments = arguments
        self.extent = extent
        self.reason = reason
    }

    var rule: mesh_syscall_rule {
        var rule = mesh_syscall_rule()
        rule.number = number
        rule.conditions = arguments.count
        withUnsafeMutableBytes(of: &rule.condition) { raw in
            let conditions = raw.bindMemory(to: mesh_syscall_condition.self)
            for (index, argument) in arguments.enumerated() {
                conditions[index] = mesh_syscall_condition(
                    argument: argument.index, mask: argument.mask, value: argument.value)
            }
        }
        return rule
    }
}

/// The tables.
package enum SystemCalls {}
