import Foundation
import Testing

extension LaunchTests {
    @Suite("Signals")
    struct SignalTests {
        /// A workload that writes each signal's number, and ends by USR2 with code 3.
        private static let recorder = """
            import os, signal, sys, time
            def got(number, frame):
                print("got", number, flush=True)
                if number == signal.SIGUSR2: os._exit(3)
            for number in range(1, 65):
                if number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33): continue
                signal.signal(number, got)
            print("recording", flush=True)
            while True: time.sleep(1)
            """

        @Test(
            "every signal that kill(2) sends to the launcher reaches the workload once",
            arguments: Caller.possible)
        func forwarded(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start(["--", "python3", "-c", SignalTests.recorder])
            running.awaitOutput("recording")
            let numbers = (Int32(1)...64).filter {
                ![SIGKILL, SIGSTOP, SIGCHLD, SIGUSR2, 32, 33].contains($0)
            }
            for number in numbers {
                running.send(number)
                guard running.awaitOutput("got \(number)\n") else { break }
            }
            running.send(SIGUSR2)
            let finished = running.finish()
            #expect(finished.end == .exited(3))
            for number in numbers + [SIGUSR2] {
                #expect(finished.lines.count { $0 == "got \(number)" } == 1, "signal \(number)")
            }
            bench.expectNoLeftovers()
        }

        @Test("a signal to the whole process group reaches the workload once", arguments: Caller.possible)
        func groupSignal(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start(["--", "python3", "-c", SignalTests.recorder])
            running.awaitOutput("recording")
            kill(-running.pid, SIGTERM)
            running.awaitOutput("got 15\n")
            // The launcher's own copy would have come before this one.
            running.send(SIGUSR1)
            running.awaitOutput("got 10\n")
            running.send(SIGUSR2)
            let finished = running.finish()
            #expect(finished.lines.count { $0 == "got 15" } == 1)
        }

        @Test(
            "a workload that left the group gets what is sent to the launcher's group",
            arguments: Caller.possible)
        func stranger(caller: Caller) throws {
            let bench = try Bench(caller)
            let script = "import os\nos.setsid()\n" + SignalTests.recorder
            let running = try bench.start(["--", "python3", "-c", script])
            running.awaitOutput("recording")
            kill(-running.pid, SIGTERM)
            running.awaitOutput("got 15\n")
            running.send(SIGUSR2)
            #expect(running.finish().end == .exited(3))
        }

        @Test("the value that sigqueue(3) sends arrives")
        func queuedValue() throws {
            let bench = try Bench(Caller.possible[0])
            let script = """
                import ctypes, os, signal
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
                print("recording", flush=True)
                class Info(ctypes.Structure):
                    _fields_ = [("number", ctypes.c_int), ("errno", ctypes.c_int), ("code", ctypes.c_int),
                                ("pad", ctypes.c_int), ("pid", ctypes.c_int), ("uid", ctypes.c_uint),
                                ("value", ctypes.c_int), ("rest", ctypes.c_char * 100)]
                signals = (ctypes.c_ulong * 16)(1 << (signal.SIGRTMIN - 1))
                info = Info()
                ctypes.CDLL(None).sigwaitinfo(signals, ctypes.byref(info))
                print("value", info.code, info.value, flush=True)
                """
            let running = try bench.start(["--", "python3", "-c", script])
            running.awaitOutput("recording")
            var payload = sigval()
            payload.sival_ptr = UnsafeMutableRawPointer(bitPattern: 4711)
            sigqueue(running.pid, 34, payload)
            #expect(running.finish().lines.last == "value -1 4711")
        }

        @Test("blocked and ignored signals are inherited as they were")
        func dispositionsAreInherited() throws {
            let bench = try Bench(Caller.possible[0])
            let wrapper = [
                "python3", "-c",
                """
                import os, signal, sys
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
                os.execv(sys.argv[1], sys.argv[1:])
                """,
            ]
            let script = "print(open('/proc/self/status').read())"
            let finished = try bench.start(["--", "python3", "-S", "-c", script], wrapper: wrapper).finish()
            func set(_ name: String) throws -> UInt64 {
                let line = try #require(finished.lines.first { $0.hasPrefix(name) })
                return try #require(UInt64(line.dropFirst(name.count), radix: 16))
            }
            #expect(try set("SigBlk:\t") == 1 << (SIGUSR1 - 1))
            // The tests' way to start programs, and python, ignore some more.
            #expect(
                try set("SigIgn:\t") & (1 << (SIGHUP - 1) | 1 << (SIGCHLD - 1) | 1 << (SIGTERM - 1))
                    == 1 << (SIGHUP - 1) | 1 << (SIGCHLD - 1))
        }

        @Test("a timer that its caller left to the launcher ends the workload")
        func inheritedTimer() throws {
            let bench = try Bench(Caller.possible[0])
            let wrapper = [
                "python3", "-c",
                "import os, signal, sys; signal.setitimer(signal.ITIMER_REAL, 0.5); os.execv(sys.argv[1], sys.argv[1:])",
            ]
            let running = try bench.start(["--", "sleep", "60"], wrapper: wrapper)
            #expect(running.finish().end == .killed(SIGALRM))
            bench.expectNoLeftovers()
        }
    }
}
