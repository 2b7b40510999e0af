"""What a comparison showed: statistics, tables, figures, the report. Functions take frames and return frames or axes.

Here lives what is computed from frames of results. Nothing here knows tasks, strategies or traces.
"""
