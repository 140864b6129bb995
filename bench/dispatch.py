"""How much of the way of an evaluation our promises cost: the fleet beside a bare broker and a process pool.

Run it while nothing else runs: `python bench/dispatch.py`. Each system is started, measured and stopped in turn, in
several rounds; every second round goes the other way round, so that a machine that slows down favours nobody.
Missed floors are shown in red, and are no failure: the exit code tells only whether everything was measured.
"""

if __name__ == "__main__":
    # Here, because every process of the pool runs this file again, and needs nothing of it.
    import typer
    from command import main

    typer.run(main)
