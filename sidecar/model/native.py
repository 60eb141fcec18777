"""The statistics of causal.c, for training: the same as those of causal.py,
at a twentieth of the time. The library is built from causal.c alone."""
import ctypes

import torch

from causal import CANDIDATES, FACTS, INPUTS, SEASONS, Statistics


class Step(ctypes.Structure):
    """struct causal_step"""
    _fields_ = [('batch', ctypes.c_size_t), ('columns', ctypes.c_uint),
                ('season_columns', ctypes.c_uint)] + [
        (name, ctypes.c_void_p) for name in (
            'floor', 'x', 'season', 'state', 'slots', 'inputs', 'novelty',
            'facts', 'candidates', 'scale', 'lowest')]


class Native:
    def __init__(self, path):
        self.step = ctypes.CDLL(path).causal_step
        self.step.argtypes = [ctypes.POINTER(Step)]
        self.step.restype = None

    def replay(self, detector, x, season):
        """As Detector.replay."""
        B, T, F = x.shape
        Q = min(Statistics.SEASON_COLUMNS, F)
        x = x.transpose(0, 1).contiguous()
        season = season.transpose(0, 1).contiguous()
        assert season.shape == (T, B, len(SEASONS), Q)
        floor = detector.floor(F).contiguous()
        state = detector.initial(B, F).contiguous()
        out = [torch.empty(T, n, F, B) for n in
               (len(INPUTS), len(FACTS), len(CANDIDATES), 1)]
        spare = torch.empty(2, F, B)
        step = Step(B, F, Q, floor.data_ptr())
        step.state = state.data_ptr()
        step.novelty, step.lowest = spare[0].data_ptr(), spare[1].data_ptr()
        for t in range(T):
            step.x, step.season = x[t].data_ptr(), season[t].data_ptr()
            step.inputs, step.facts, step.candidates, step.scale = (
                a[t].data_ptr() for a in out)
            self.step(step)
        inputs, facts, candidates, scale = (
            a.permute(1, 2, 0, 3).reshape(a.shape[1], F, T * B) for a in out)
        return inputs, facts, candidates, scale[0]
