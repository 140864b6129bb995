"""A Windows job object that holds one process tree, and ends it when it is closed or its owner dies."""

import sys

if sys.platform == "win32":
    import ctypes
    import subprocess
    from ctypes import wintypes

    __all__ = ["Job"]

    _KILL_ON_JOB_CLOSE = 0x2000
    _EXTENDED_LIMIT_INFORMATION = 9

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
    _kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
    _kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    _kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    _nt = ctypes.WinDLL("ntdll")
    _nt.NtResumeProcess.argtypes = (wintypes.HANDLE,)

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    class Job:
        """A job object whose processes all end with it.

        Raises:
            OSError: Windows refused it.
        """

        def __init__(self) -> None:
            self._handle: int | None = _kernel.CreateJobObjectW(None, None)
            limits = _ExtendedLimits()
            limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
            size = ctypes.sizeof(limits)
            if not self._handle or not _kernel.SetInformationJobObject(
                self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size
            ):
                raise ctypes.WinError(ctypes.get_last_error())

        def adopt(self, process: "subprocess.Popen[bytes]") -> None:
            """Takes in a process that was created suspended, and lets it run.

            Raises:
                OSError: Windows refused it; the process is ended.
            """
            handle = int(process._handle)  # type: ignore[attr-defined]  # the only handle there is without a race
            if not _kernel.AssignProcessToJobObject(self._handle, handle):
                error = ctypes.WinError(ctypes.get_last_error())
                process.kill()
                raise error
            _nt.NtResumeProcess(handle)

        def terminate(self) -> None:
            """Ends all processes in the job."""
            if self._handle is not None:
                _kernel.TerminateJobObject(self._handle, 1)

        def close(self) -> None:
            """Ends what is left in the job, and the job."""
            handle, self._handle = self._handle, None
            if handle is not None:
                _kernel.CloseHandle(handle)
